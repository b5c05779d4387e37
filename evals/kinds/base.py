"""What a kind of task owns: its gold, its sampling rule, its answer check, its metrics and its chance level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from evals.types import Answer, Example, Gold, Label, Problem
from fewshot.core.seeds import Lots

if TYPE_CHECKING:
    from evals.metrics import Counts


@dataclass(frozen=True)
class Draw:
    """What a sampling rule picked for one episode: label names in order, support rounds, queries (not yet shuffled)."""

    labels: tuple[str, ...]
    support: tuple[Example, ...]
    queries: tuple[Example, ...]


@dataclass(frozen=True)
class Scored:
    """One finished episode, as the metrics see it."""

    labels: tuple[str, ...]
    gold: tuple[Gold, ...]
    answers: tuple[Answer, ...]


def label_text(value: Any, column: str) -> str:
    """A label as text: numbers that are whole without a decimal point, true and false as JSON writes them.

    Raises:
        ValueError: a gap (None, NaN), or something that is neither text nor number.
    """
    if value is None or value != value:  # NaN is how tables of numbers write a gap
        raise ValueError(f"column {column!r} is empty")
    if not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"column {column!r} holds {type(value).__name__}, neither text nor a number")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        if not isfinite(value):
            raise ValueError(f"column {column!r} holds {value}, which is no label")
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, int) and abs(value) >= 10**100:
        raise ValueError(f"column {column!r} holds a number of more than 100 digits")
    return str(value)


class Pool:
    """The labelled rows that an episode may draw from, grouped by the label names in their gold.

    Rows without gold are left out: they can be neither shown nor asked.
    """

    def __init__(self, rows: Sequence[Example], kind: Kind) -> None:
        self.rows = tuple(row for row in rows if row.label is not None)
        self._kind = kind

    @cached_property
    def by_label(self) -> dict[str, tuple[Example, ...]]:
        """Label name to its rows, in file order. Rows of tasks without labels stand under ""."""
        groups: dict[str, list[Example]] = {}
        for row in self.rows:
            assert row.label is not None
            for name in self._kind.names(row.label) or ("",):
                groups.setdefault(name, []).append(row)
        return {name: tuple(rows) for name, rows in groups.items()}


@dataclass(frozen=True)
class Pools:
    """Where support and queries come from: the same pool where a task has one file or class splits."""

    support: Pool
    query: Pool

    @property
    def shared(self) -> bool:
        return self.support is self.query


@runtime_checkable
class CountsItems(Protocol):
    """A kind of which a figure is also told over all texts together: each entity, or each label, counts the same.

    Attributes:
        pooled: name of that figure, an F1, among the kind's `metrics`.
    """

    @property
    def pooled(self) -> str: ...

    def count(self, answer: Answer, gold: Gold) -> Counts:
        """The items of one text that were found, found wrongly and missed. Non-ok answers find nothing."""
        ...


class Kind(Protocol):
    """One kind of task. Implementations are stateless.

    Attributes:
        name: as task cards write it.
        metric: name of the primary metric, the one that `score` gives.
        shown: the secondary metrics that a table shows beside it, by their headings.
    """

    name: str
    metric: str

    @property
    def shown(self) -> Mapping[str, str]: ...

    def names(self, gold: Gold) -> tuple[str, ...]:
        """The label names that occur in a gold, each once; empty for kinds without labels."""
        ...

    def read_gold(self, row: Mapping[str, Any], column: str) -> Gold:
        """Take the gold out of a data row. Raises ValueError with what is wrong."""
        ...

    def require(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int) -> None:
        """Refuse data that cannot fill every such episode, so that `draw` cannot fail in the middle of a run.

        Raises:
            UsageError: way is larger than the number of classes.
            TaskError: a class has too few texts.
        """
        ...

    def draw(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int, lots: Lots) -> Draw:
        """Sample one episode. Each choice depends on `lots` alone: the support of shot k is the beginning of that of
        shot k + 1, and the queries do not depend on the shot. `query` is per class where there are classes."""
        ...

    def check(self, decision: Gold, problem: Problem, query: int) -> bool:
        """Whether a decision is of the right form for the query with this index."""
        ...

    def score(self, answer: Answer, gold: Gold) -> float:
        """The primary metric of one query, 0 to 1. Non-ok answers score 0."""
        ...

    def metrics(self, episodes: Sequence[Scored]) -> dict[str, Any]:
        """Secondary metrics over all episodes, JSON-ready."""
        ...

    def chance(self, problem: Problem) -> float | None:
        """The primary metric of a guess that knows the labels and nothing else, or None if there is no such notion."""
        ...
