"""From stored runs to tables: learners are joined on the episodes that they share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from evals.balance import EQUAL
from evals.comparison.tables import STATUSES, UNANSWERED, Cell, Floats, Outcome, Source, Table
from evals.kinds import CountsItems, Kind, kind_named
from evals.metatrain import LEARNER_FOLDER, trained_seconds
from evals.records import EpisodeRecord
from evals.rundir import MAIN, read_config
from evals.store import Store
from evals.types import Answer, Gold, Usage
from fewshot.core.errors import UsageError
from fewshot.core.hashing import canonical_json, digest


@dataclass
class _Stored:
    """What one learner has stored of one series of episodes. Several runs may have answered parts of it.

    Attributes:
        base: what the learner is called in its run. name: what it is called in the comparison.
        answers: by problem id, as `_compact` makes them.
    """

    base: str
    described: Mapping[str, Any]
    baseline: bool
    transductive: bool
    until_ci: float | None
    source: Source
    episodes: dict[int, EpisodeRecord]
    answers: dict[str, Floats] = field(default_factory=dict)
    seconds: float = 0.0
    usage: dict[str, Usage] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, order=True)
class _TableKey:
    task: str
    data: str
    part: str
    way: int
    query: int
    query_balance: str
    shot: int
    kind: str
    language: str


_CellKey = tuple[str, int]
_Cells = Mapping[_CellKey, list[_Stored]]

#: A column of the compact form of answers, and a row of it where there is no answer.
_DECISION = 1
_BLANK = np.array([math.nan, -1, math.nan, UNANSWERED, 0, 0, 0])
_CODES = {status: code for code, status in enumerate(STATUSES)}


def read_tables(folders: Sequence[Path]) -> list[Table]:
    """Join stored runs into tables, one for each task, way and shot.

    Runs of the same learner on the same episodes (shards) are merged. Runs whose episodes differ are joined on their
    common beginning.

    Args:
        folders: of runs; every learner in them takes part, baselines too.

    Raises:
        UsageError: nothing is stored, or runs that should be joined share no episode; the message names the first one.
        StorageError: a run is damaged.
    """
    grouped: dict[_TableKey, dict[_CellKey, list[_Stored]]] = {}
    known: dict[str, EpisodeRecord] = {}
    for folder in folders:
        for table, cell, stored in _read(folder, known):
            _add(grouped.setdefault(table, {}).setdefault(cell, []), stored)
    tables = [_table(key, cells) for key, cells in sorted(_told_apart(grouped).items(), key=lambda item: item[0])]
    if not tables:
        raise UsageError("no episode has been answered in these runs; there is nothing to compare")
    return tables


def _told_apart(grouped: Mapping[_TableKey, _Cells]) -> dict[_TableKey, _Cells]:
    """The same, where a name that stands for several versions of data says which: by the start of its fingerprint."""
    versions: dict[str, set[str]] = {}
    for key in grouped:
        versions.setdefault(key.task, set()).add(key.data)
    return {
        replace(key, task=f"{key.task} (data {key.data[:8]})") if len(versions[key.task]) > 1 else key: cells
        for key, cells in grouped.items()
    }


def _read(folder: Path, known: dict[str, EpisodeRecord]) -> Iterable[tuple[_TableKey, _CellKey, _Stored]]:
    """Every learner of a run that has answered something."""
    with Store.read(folder) as store:
        config = read_config(store)
        task, drawn = config["task"], config["episodes"]
        kind = kind_named(task["kind"])
        episodes = {record.index: record for record in store.episodes(known)}
        by_problem = {record.problem_id: record for record in episodes.values()}
        found: dict[str, _Stored] = {}
        for learner, prediction, seconds in store.all_predictions():
            if learner not in found:
                found[learner] = _begin(learner, config, Source(folder, learner), episodes)
            stored = found[learner]
            episode = by_problem[prediction.problem_id]
            stored.answers[prediction.problem_id] = _compact(prediction.answers, episode, kind)
            stored.seconds += seconds
            for phase, used in prediction.usage.items():
                stored.usage[phase] = stored.usage.get(phase, Usage()) + used
    key = _TableKey(
        task["name"],
        task["data_fingerprint"],
        drawn["part"],
        drawn["way"],
        drawn["query"],
        drawn.get("query_balance", EQUAL),
        drawn["shot"],
        task["kind"],
        task["language"],
    )
    cell = (drawn["class_split"] or "", drawn["seed"])
    return [(key, cell, stored) for stored in found.values()]


def _begin(learner: str, config: Mapping[str, Any], source: Source, episodes: dict[int, EpisodeRecord]) -> _Stored:
    described, settings = config["learners"][learner], config["settings"]
    name = settings.get("contestant") or described.get("name", learner) if learner == MAIN else learner
    baseline = learner != MAIN or bool(settings.get("baseline"))
    seconds = trained_seconds(source.folder / LEARNER_FOLDER) if learner == MAIN else 0.0
    usage = {"meta_train": Usage(seconds=seconds)} if seconds else {}
    return _Stored(
        base=name,
        described=described,
        baseline=baseline,
        transductive=config["transductive"][learner],
        until_ci=settings.get("until_ci"),
        source=source,
        episodes=episodes,
        seconds=seconds,
        usage=usage,
    )


def _add(present: list[_Stored], stored: _Stored) -> None:
    """Add a run, named apart from another learner that is called the same."""
    described = {canonical_json(other.described): other.name for other in present if other.base == stored.base}
    mine = canonical_json(stored.described)
    stored.name = described.get(mine) or (f"{stored.base} ({len(described) + 1})" if described else stored.base)
    present.append(stored)


def _table(key: _TableKey, cells: _Cells) -> Table:
    kind = kind_named(key.kind)
    notes: list[str] = []
    episodes: list[EpisodeRecord] = []
    of_cell: list[int] = []
    found_cells: list[Cell] = []
    ordered = sorted(cells.items())
    for at, ((class_split, seed), members) in enumerate(ordered):
        shared = _common(members, notes)
        episodes += shared
        of_cell += [at] * len(shared)
        manifest = digest([episode.problem_id for episode in shared])
        found_cells.append(Cell(class_split or None, seed, len(shared), manifest))
    labels = sorted({name for episode in episodes for name in episode.labels})
    position = {name: at for at, name in enumerate(labels)}
    texts: dict[str, int] = {}
    text = [texts.setdefault(row, len(texts)) for episode in episodes for row in episode.query_ids]
    shown = [texts.setdefault(row, len(texts)) for episode in episodes for row in episode.support_ids]
    class_of = dict(pair for episode in episodes for pair in _classes(episode))
    gold = [position.get(g, -1) if isinstance(g, str) else -1 for episode in episodes for g in episode.gold]
    counts = [len(episode.gold) for episode in episodes]
    chances = [episode.chance for episode in episodes if episode.chance is not None]
    names = dict.fromkeys(stored.name for _, members in ordered for stored in members)
    outcomes = tuple(
        _outcome(name, [[m for m in members if m.name == name] for _, members in ordered], episodes, of_cell)
        for name in names
    )
    return Table(
        task=key.task,
        data=key.data,
        language=key.language,
        kind=key.kind,
        metric=kind.metric,
        part=key.part,
        way=key.way,
        shot=key.shot,
        query=key.query,
        query_balance=key.query_balance,
        cells=tuple(found_cells),
        labels=tuple(labels),
        chance=sum(chances) / len(chances) if chances else None,
        problem_ids=tuple(episode.problem_id for episode in episodes),
        pairings=tuple(episode.pairing for episode in episodes),
        cell=np.asarray(of_cell, dtype=np.int64),
        episode=np.repeat(np.arange(len(episodes)), counts),
        text=np.asarray(text, dtype=np.int64),
        shown_episode=np.repeat(np.arange(len(episodes)), [len(episode.support_ids) for episode in episodes]),
        shown=np.asarray(shown, dtype=np.int64),
        text_ids=tuple(texts),
        text_class=np.asarray([position.get(class_of.get(row, ""), -1) for row in texts], dtype=np.int64),
        gold=np.asarray(gold, dtype=np.int64),
        outcomes=outcomes,
        pooled=next(name for name, key in kind.shown.items() if key == kind.pooled)
        if isinstance(kind, CountsItems)
        else None,
        notes=tuple(notes),
    )


def _classes(episode: EpisodeRecord) -> Iterable[tuple[str, str]]:
    """Rows with the one class that each carries; none where rows carry several or none."""
    if not all(isinstance(gold, str) and gold in episode.labels for gold in episode.gold):
        return
    # Support comes in rounds, one text of every class after the other.
    yield from zip(episode.support_ids, cycle(episode.labels))
    for row, gold in zip(episode.query_ids, episode.gold, strict=True):
        yield row, str(gold)


def _common(members: Sequence[_Stored], notes: list[str]) -> list[EpisodeRecord]:
    """The episodes on which all runs of a cell agree, from the first one on."""
    found: dict[int, dict[str, EpisodeRecord]] = {}
    for member in members:
        for index, record in member.episodes.items():
            found.setdefault(index, {})[record.problem_id] = record
    differing = min((index for index, records in found.items() if len(records) > 1), default=None)
    agreed = [next(iter(found[at].values())) for at in sorted(found) if differing is None or at < differing]
    if differing is not None and not agreed:
        others = ", ".join(sorted({str(member.source.folder) for member in members}))
        raise UsageError(
            f"these runs share no episode: they differ from episode {differing} on ({others}). Data or sampling "
            "changed between them; run them again with the same options"
        )
    if differing is not None:
        notes.append(f"runs differ from episode {differing} on; compared on the {len(agreed)} before it")
    answered = {problem for member in members for problem in member.answers}
    return [record for record in agreed if record.problem_id in answered]


def _outcome(
    name: str, by_cell: Sequence[Sequence[_Stored]], episodes: Sequence[EpisodeRecord], of_cell: Sequence[int]
) -> Outcome:
    """The answers of one learner to all episodes, as arrays."""
    position = {label: at for at, label in enumerate(sorted({label for e in episodes for label in e.labels}))}
    rows: list[Floats] = []
    used: dict[Source, _Stored] = {}
    for episode, cell in zip(episodes, of_cell, strict=True):
        answering = next((run for run in by_cell[cell] if episode.problem_id in run.answers), None)
        if answering is None:
            rows.append(np.tile(_BLANK, (len(episode.gold), 1)))
            continue
        used[answering.source] = answering
        found = answering.answers[episode.problem_id].copy()
        # From a position among the episode's labels to one among the table's; -1 stays.
        found[:, _DECISION] = np.array([*map(position.__getitem__, episode.labels), -1])[
            found[:, _DECISION].astype(int)
        ]
        rows.append(found)
    score, decision, confidence, status, *counts = np.concatenate(rows).T if rows else np.empty((7, 0))
    usage: dict[str, Usage] = {}
    for phase, spent in ((phase, spent) for run in used.values() for phase, spent in run.usage.items()):
        usage[phase] = usage.get(phase, Usage()) + spent
    first = next(run for runs in by_cell for run in runs)
    return Outcome(
        learner=name,
        described=first.described,
        baseline=all(run.baseline for runs in by_cell for run in runs),
        transductive=any(run.transductive for run in used.values()),
        score=score,
        decision=decision.astype(np.int64),
        confidence=confidence,
        status=status.astype(np.int64),
        counts=np.stack(counts, axis=-1),
        seconds=sum(run.seconds for run in used.values()),
        usage=usage,
        until_ci=first.until_ci,
        sources={at: runs[0].source for at, runs in enumerate(by_cell) if runs},
    )


def _counts(answer: Answer, gold: Gold, kind: Kind) -> tuple[int, int, int]:
    """Items found, found wrongly and missed; none of a kind that does not count them."""
    if not isinstance(kind, CountsItems):
        return 0, 0, 0
    found = kind.count(answer, gold)
    return found.tp, found.fp, found.fn


def _compact(answers: Sequence[Answer], episode: EpisodeRecord, kind: Kind) -> Floats:
    """(n_queries, 7): score, position of the decision among the episode's labels, confidence, status, and `_counts`."""
    position = {label: at for at, label in enumerate(episode.labels)}
    return np.array(
        [
            (
                kind.score(answer, gold),
                position.get(answer.decision, -1) if isinstance(answer.decision, str) else -1,
                math.exp(max(answer.scores)) if answer.scores else math.nan,
                _CODES[answer.status],
                *_counts(answer, gold, kind),
            )
            for answer, gold in zip(answers, episode.gold, strict=True)
        ]
    )
