"""The numbers behind the charts: flat rows, scores in percent, texts as a page can hold them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evals import stats
from evals.comparison.analysis import Analysis
from evals.comparison.tables import Outcome, Table
from evals.metatrain import LEARNER_FOLDER
from evals.report.svg import cleaned
from evals.rundir import MAIN
from evals.wording import lead

#: A confusion matrix shows so many labels at most: those that are confused most.
MAX_LABELS = 8
_BINS = 10

Rows = list[dict[str, Any]]


def in_percent(**values: float) -> dict[str, float]:
    """Shares in percent, by name."""
    return {name: round(100 * value, 3) for name, value in values.items()}


def differences(analysis: Analysis, colour: Callable[[str], str]) -> Rows:
    """The best learner minus each other one, in points; `note` says where that is nothing at all.

    Args:
        colour: of a learner.
    """
    found = {standing.learner: analysis.behind(standing.learner) for standing in analysis.standings}
    return [
        {
            "learner": cleaned(learner),
            "colour": colour(learner),
            **in_percent(mean=gap.difference.mean, low=gap.difference.low, high=gap.difference.high),
            **in_percent(new_low=gap.new_texts.low, new_high=gap.new_texts.high),
            "note": lead(gap.difference) if gap.identical else "",
        }
        for learner, gap in found.items()
        if gap is not None
    ]


def front(rows: Rows) -> Rows:
    """The rows that no other one beats in cost and mean."""
    kept = stats.pareto_front([row["cost"] for row in rows], [row["mean"] for row in rows])
    return [row for row, on_front in zip(rows, kept, strict=True) if on_front]


def spread(rows: Rows, gap: float) -> Rows:
    """The rows with a height for their labels, `label`, at least `gap` from each other."""
    placed: Rows = []
    for row in sorted(rows, key=lambda row: row["mean"]):
        lowest = placed[-1]["label"] + gap if placed else -math.inf
        placed.append({**row, "label": max(row["mean"], lowest)})
    return placed


def reliability(outcome: Outcome) -> Rows:
    """For answers with similar probabilities: their mean, and the share that is right."""
    known = np.isfinite(outcome.confidence) & np.isfinite(outcome.score)
    confidence, right = outcome.confidence[known], outcome.score[known]
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        {"n": int(inside.sum()), **in_percent(confidence=confidence[inside].mean(), right=right[inside].mean())}
        for at in range(_BINS)
        if (inside := bins == at).any()
    ]


def bias(table: Table, outcome: Outcome) -> Rows:
    """For each label, how often it was given as a multiple of how often it is right; `most` marks the highest."""
    valid = outcome.answered & (table.gold >= 0)
    given = np.bincount(outcome.decision[valid & (outcome.decision >= 0)], minlength=len(table.labels))
    right = np.bincount(table.gold[valid], minlength=len(table.labels))
    ratios = {at: given[at] / right[at] for at in np.flatnonzero(right).tolist()}
    most = max(ratios, key=lambda at: ratios[at], default=None)
    return [
        {"learner": outcome.learner, "label": cleaned(table.labels[at]), "ratio": round(ratio, 3), "most": at == most}
        for at, ratio in ratios.items()
    ]


def confusion(table: Table, outcome: Outcome) -> tuple[Rows, list[str]]:
    """The cells of a confusion matrix, in percent of what is right, and the labels in it."""
    valid = (outcome.decision >= 0) & (table.gold >= 0)
    n = len(table.labels)
    counts = np.bincount(table.gold[valid] * n + outcome.decision[valid], minlength=n * n).reshape(n, n)
    totals = counts.sum(axis=1)
    errors = counts.sum(axis=1) + counts.sum(axis=0) - 2 * counts.diagonal()
    seen = [at for at in np.argsort(-errors, kind="stable").tolist() if totals[at]][:MAX_LABELS]
    chosen = sorted(seen)
    names = {at: cleaned(table.labels[at]) for at in chosen}
    rows = [
        {"gold": names[i], "given": names[j], "share": round(100 * counts[i, j] / totals[i], 1)}
        for i in chosen
        for j in chosen
    ]
    return rows, list(names.values())


def training_curves(analysis: Analysis) -> dict[str, Path]:
    """The learning curves that trained learners have left: learner -> file, of its first series of episodes."""
    found = {
        outcome.learner: source.folder / LEARNER_FOLDER / "curve.csv"
        for outcome in analysis.table.outcomes
        for source in [next(iter(outcome.sources.values()))]
        if source.learner == MAIN
    }
    return {learner: path for learner, path in found.items() if path.is_file()}


def curve(path: Path) -> Rows:
    """The points of a learning curve (`curve.csv`)."""
    columns = {
        "loss": ("loss", "training"),
        "valid_loss": ("loss", "validation"),
        "accuracy": ("accuracy", "training"),
        "valid_accuracy": ("accuracy", "validation"),
    }
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {"step": int(row["step"]), "figure": figure, "side": side, "value": float(row[column])}
            for row in csv.DictReader(file)
            for column, (figure, side) in columns.items()
            if row.get(column)
        ]
