"""Repeated stratified splits of one data set, each as a problem that any learner can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evals.content import whole_text
from evals.copies import near_copies
from evals.kinds import kind_named
from evals.rounds import in_rounds
from evals.task import Task
from evals.types import Example, Problem, Query
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.hashing import digest
from fewshot.core.seeds import random_state

#: Rows used at most: enough to choose by, few enough for every learner.
MAX_ROWS = 2000
_FOLDS = 5
#: Repeats by the number of rows below; more rows need fewer.
_REPEATS = ((300, 4), (1000, 3))
_FEWEST_REPEATS = 2


@dataclass(frozen=True)
class Split:
    """Rows that are shown, rows that are asked, and what the latter should be answered.

    Attributes:
        rows: the asked ones, in the order of `problem.queries`.
    """

    problem: Problem
    rows: tuple[Example, ...]


@dataclass(frozen=True)
class Splits:
    """Repeated stratified cross-validation.

    Attributes:
        rows: all that are used.
        n_available: labelled rows there are; more than `rows` where a sample is used.
        untested: classes with a single row, near copies not counted. It is always shown and never asked.
    """

    splits: tuple[Split, ...]
    rows: tuple[Example, ...]
    n_available: int
    repeats: int
    folds: int
    untested: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Of the task."""
        return self.splits[0].problem.task.kind

    @property
    def n_test(self) -> int:
        """Rows that a split asks, on average."""
        return max(1, round(sum(len(split.rows) for split in self.splits) / len(self.splits)))

    @property
    def n_train(self) -> int:
        """Rows that a split shows, on average."""
        return len(self.rows) - self.n_test


def make_splits(task: Task, *, max_rows: int = MAX_ROWS, seed: int = 0) -> Splits:
    """Split the labelled rows of a task; rows held out for tests are not touched, where there are others.

    Those of a classification are stratified by class; where a text has no single label, all rows count as one class.

    Args:
        max_rows: of more, a stratified sample is used.

    Raises:
        UsageError: fewer rows are allowed than two per class.
        TaskError: no rows, or classes of which most have a single row.
    """
    classes = task.info.kind == "classification"
    available = task.to_be_shown()

    def class_of(row: Example) -> str:
        return str(row.label) if classes else ""

    by_class = _shuffled_classes(available, [task.data_fingerprint, seed, "sample"], class_of)
    if len(by_class) < (2 if classes else 1):
        raise TaskError(f"{task.name}: {len(by_class)} classes among {len(available)} rows; at least two are needed")
    if 2 * len(by_class) > len(available):
        raise TaskError(
            f"{task.name}: {len(by_class)} different labels for {len(available)} texts. If the labels stand in another "
            "column, name it with --label; otherwise label at least two texts of every class"
            + "".join(f"; {note}" for note in task.notes)
        )
    if max_rows < 2 * len(by_class):
        raise UsageError(f"--rows {max_rows} is too few for {len(by_class)} classes; use {2 * len(by_class)} or more")
    rows = _sample(by_class, max_rows)
    groups = _groups(rows)
    copies: dict[str, set[int]] = {}
    for row in rows:
        copies.setdefault(class_of(row), set()).add(groups[row.id])
    untested = tuple(sorted(name for name, members in copies.items() if len(members) == 1))
    if len(untested) == len(copies):
        raise TaskError(f"{task.name}: the texts of every class are near copies of each other; label texts that differ")
    folds = min(_FOLDS, len({groups[row.id] for row in rows if class_of(row) not in untested}))
    repeats = next((repeats for below, repeats in _REPEATS if len(rows) < below), _FEWEST_REPEATS)
    splits = tuple(
        _split(task, rows, asked, [task.data_fingerprint, seed, repeat, fold])
        for repeat in range(repeats)
        for fold, asked in enumerate(_deal(rows, folds, [task.data_fingerprint, seed, repeat], groups, class_of))
    )
    return Splits(splits, rows, len(available), repeats, folds, untested)


def _shuffled_classes(
    rows: Sequence[Example], seed: Sequence[object], class_of: Callable[[Example], str]
) -> dict[str, list[Example]]:
    """Rows by class, classes and rows in random order."""
    by_class: dict[str, list[Example]] = {}
    for at in random_state(*seed).permutation(len(rows)).tolist():
        by_class.setdefault(class_of(rows[at]), []).append(rows[at])
    return by_class


def _sample(by_class: dict[str, list[Example]], size: int) -> tuple[Example, ...]:
    """At most `size` rows, two of every class first, then of all classes the same share."""
    ranked = [
        (max(0, rank - 1) / len(members), rank, row)
        for members in by_class.values()
        for rank, row in enumerate(members)
    ]
    return tuple(row for _, _, row in sorted(ranked, key=lambda ranks: ranks[:2])[:size])


def _deal(
    rows: Sequence[Example],
    folds: int,
    seed: Sequence[object],
    groups: Mapping[str, int],
    class_of: Callable[[Example], str],
) -> list[list[Example]]:
    """The rows each fold asks: class after class is dealt out like cards, near copies of a row into its fold.

    Without copies, folds differ by one row at most. A class whose rows are all copies of each other is always shown.
    """
    dealt: list[list[Example]] = [[] for _ in range(folds)]
    placed: dict[int, int] = {}
    at = 0
    for members in _shuffled_classes(rows, seed, class_of).values():
        if len({groups[row.id] for row in members}) < 2:
            continue
        for row in members:
            group = groups[row.id]
            if group not in placed:
                placed[group] = at % folds
                at += 1
            dealt[placed[group]].append(row)
        where = {placed[groups[row.id]] for row in members}
        if len(where) == 1:  # all of them near another class's texts: they are shown, or nothing would be known of it
            fold = where.pop()
            dealt[fold] = dealt[fold][: -len(members)]
    return [asked for asked in dealt if asked]


def _groups(rows: Sequence[Example]) -> dict[str, int]:
    """Row id -> its group: rows that are near copies of each other, at first or second hand, share one."""
    group = list(range(len(rows)))

    def first(at: int) -> int:
        while group[at] != at:
            at = group[at]
        return at

    for one, other, _ in near_copies([whole_text(row) for row in rows]):
        group[first(other)] = first(one)
    return {row.id: first(at) for at, row in enumerate(rows)}


def held_names(task: Task, rows: Sequence[Example]) -> set[str]:
    """The names of the labels that some row carries."""
    kind = kind_named(task.info.kind)
    return {name for row in rows if row.label is not None for name in kind.names(row.label)}


def _split(task: Task, rows: Sequence[Example], asked: Sequence[Example], seed: Sequence[object]) -> Split:
    random = random_state(*seed, "order")
    asked = [asked[at] for at in random.permutation(len(asked)).tolist()]
    hidden = {row.id for row in asked}
    shown = [row for row in rows if row.id not in hidden]
    support = in_rounds(shown) if task.info.kind == "classification" else tuple(shown)
    names = held_names(task, rows)
    labels = [label for label in task.labels if label.name in names]
    labels = [labels[at] for at in random.permutation(len(labels)).tolist()]
    order = [label.name for label in labels]
    problem = Problem(
        id=digest([task.data_fingerprint, order, [row.id for row in support], [row.id for row in asked]]),
        task=task.info,
        labels=tuple(labels),
        support=support,
        queries=tuple(Query(f"q{at}", row.text, row.fields) for at, row in enumerate(asked)),
    )
    return Split(problem, tuple(asked))
