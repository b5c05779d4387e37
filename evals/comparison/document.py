"""The JSON document of a comparison: everything that was found, and nothing that has to be computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evals import stats
from evals.comparison.analysis import Analysis, Pair, Standing
from evals.comparison.crossing import Lead
from evals.comparison.sentences import lead_sentence, verdict_sentence
from evals.stats import Interval

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Absent:
    """A learner that has no result somewhere, and why. `status` is "skipped" or "failed"."""

    learner: str
    status: str
    reason: str
    task: str
    class_split: str | None = None
    seed: int | None = None
    shot: int | None = None


def to_document(
    analyses: Sequence[Analysis],
    leads: Sequence[Lead],
    absent: Sequence[Absent],
    study: Mapping[str, Any],
    unfinished: str = "",
) -> dict[str, Any]:
    """The document. Never NaN.

    Returns:
        `study`; `learners` and `pairs` (one entry per table and learner, or pair); `winner` and `sentences` per table;
        `crossover` per task; `ranks` where there are several tasks; `manifest` (the episodes' hashes per cell).
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "study": dict(study),
        "learners": [
            *(entry(analysis, standing) for analysis in analyses for standing in analysis.standings),
            *(asdict(missing) for missing in absent),
        ],
        "pairs": [_pair(analysis, pair) for analysis in analyses for pair in analysis.pairs],
        "winner": [_winner(analysis) for analysis in analyses],
        "crossover": [_lead(lead) for lead in leads],
        "ranks": ranks(analyses),
        "manifest": [_manifest(analysis) for analysis in analyses],
        "notes": [unfinished, *notes(analyses, study)] if unfinished else notes(analyses, study),
    }


def notes(analyses: Sequence[Analysis], study: Mapping[str, Any]) -> list[str]:
    """What a reader should know: what was left out, and that a stopping rule was at work."""
    found = [note for analysis in analyses for note in analysis.table.notes]
    for analysis in analyses:
        place, total = f"{analysis.table.task}, {analysis.table.shot}-shot", analysis.table.n_episodes
        for standing in analysis.standings:
            if standing.status == "partial":
                found.append(
                    f"{place}: {standing.learner} answered {standing.n_episodes} of {total} episodes; it is compared "
                    "on those, and ranked after the others"
                )
    if any(standing.status == "stopped" for analysis in analyses for standing in analysis.standings):
        found.append(
            f"some learners stopped early, once their interval was {study.get('until_ci', 'narrow enough')} points to "
            "either side: numbers of episodes differ, and p-values hold approximately"
        )
    return found


def place(analysis: Analysis) -> dict[str, Any]:
    """What names a table: task, part, way, shot, and how queries are spread over the classes."""
    names = ("task", "part", "way", "shot", "query_balance")
    return {name: getattr(analysis.table, name) for name in names}


def entry(analysis: Analysis, standing: Standing) -> dict[str, Any]:
    """One learner's standing at one table, JSON-ready."""
    return {
        "name": standing.learner,
        "spec": dict(analysis.table.outcome(standing.learner).described),
        **place(analysis),
        "metric": analysis.table.metric,
        "status": standing.status,
        "baseline": standing.baseline,
        "transductive": standing.transductive,
        "accuracy": _interval(standing.accuracy),
        "accuracy_new_texts": _interval(standing.new_texts),
        "pooled": standing.pooled and {"metric": analysis.table.pooled, **_interval(standing.pooled)},
        "accuracy_ok": standing.accuracy_ok,
        "chance": analysis.table.chance,
        "non_ok_rate": standing.non_ok_rate,
        "statuses": dict(standing.statuses),
        "constant_predictor": dict(standing.constant_predictor),
        "n_episodes": standing.n_episodes,
        "n_queries": standing.n_queries,
        "letters": standing.letters,
        "on_front": standing.on_front,
        "seconds": standing.seconds,
        "seconds_per_query": standing.seconds_per_query,
        "usd": standing.usd,
        "usage": {phase: asdict(used) for phase, used in sorted(standing.usage.items())},
    }


def ranks(analyses: Sequence[Analysis]) -> dict[str, Any] | None:
    """Mean ranks over tasks with Nemenyi's critical difference; None for a single task.

    A task counts once, with the mean over its shots. Learners that are missing somewhere are left out.
    """
    tasks: dict[tuple[str, str], list[Analysis]] = {}
    for analysis in analyses:
        tasks.setdefault((analysis.table.task, analysis.table.data), []).append(analysis)
    present = [{s.learner for s in analysis.standings if not s.transductive} for analysis in analyses]
    names = sorted(set.intersection(*present))
    if len(tasks) < 2 or len(names) < 2:
        return None
    scores = [[np.mean([a.standing(name).accuracy.mean for a in group]) for name in names] for group in tasks.values()]
    found = stats.friedman_ranks(scores)
    order = np.argsort(found.mean_ranks, kind="stable").tolist()
    return {
        "learners": [names[at] for at in order],
        "mean_ranks": [float(found.mean_ranks[at]) for at in order],
        "critical_difference": found.critical_difference,
        "p_friedman": found.p,
        "n_tasks": len(tasks),
    }


def _pair(analysis: Analysis, pair: Pair) -> dict[str, Any]:
    return {
        "a": pair.a,
        "b": pair.b,
        **place(analysis),
        "diff": pair.difference.mean,
        "ci95": [pair.difference.low, pair.difference.high],
        "p": pair.p,
        "p_holm": pair.p_holm,
        "ci95_new_texts": [pair.new_texts.low, pair.new_texts.high],
        "p_new_texts": pair.p_new_texts,
        "p_new_texts_holm": pair.p_new_texts_holm,
        "p_mcnemar": pair.p_mcnemar,
        "p_wilcoxon": pair.p_wilcoxon,
        "identical": pair.identical,
        "effect_size": pair.effect,
        "n_episodes": pair.difference.n,
    }


def _winner(analysis: Analysis) -> dict[str, Any]:
    return {
        **place(analysis),
        "name": analysis.verdict.winner,
        "not_told_apart": list(analysis.verdict.tied),
        "sentence": {language: verdict_sentence(analysis, language) for language in ("en", "ko")},
    }


def _lead(lead: Lead) -> dict[str, Any]:
    found = lead.crossover
    return {
        "task": lead.task,
        "way": lead.way,
        "shots": list(lead.shots),
        "leaders": list(lead.leaders),
        "few": lead.few,
        "many": lead.many,
        "shot": found.shot if found else None,
        "ci95": [found.low, found.high] if found else None,
        "share": found.share if found else None,
        "sentence": {language: lead_sentence(lead, language) for language in ("en", "ko")},
    }


def _manifest(analysis: Analysis) -> dict[str, Any]:
    return {**place(analysis), "cells": [asdict(cell) for cell in analysis.table.cells]}


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "mean": interval.mean,
        "ci95": [interval.low, interval.high],
        "n": interval.n,
        "interval": interval.method,
    }
