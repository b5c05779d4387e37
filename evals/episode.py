"""Episodes: which texts are shown, which are asked. A pure function of data, class split, part, way, seed and index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from evals.balance import EQUAL, most_queries, read_balance, require_balance
from evals.content import content_key
from evals.kinds import Draw, Kind, Pools, kind_named
from evals.task import Task
from evals.types import Example, Gold, Label, Problem, Query, TaskInfo
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.hashing import digest
from fewshot.core.seeds import Lots, random_state

#: Version of how episodes are drawn: from one counter-based stream each. Runs of another version are of other episodes.
SAMPLING = 2
#: Query texts per class where nothing else is said, as in the literature; fewer where a class has no more.
QUERIES = 15


@dataclass(frozen=True, slots=True)
class Episode:
    """A problem with its gold. Learners are given `problem`, and whole episodes only of classes to be trained on.

    Attributes:
        index: position in its sampler.
        gold: one per query, in the order of `problem.queries`.
        query_ids: ids of the query rows in the data (the problem hides them).
        pairing: hash of labels and queries alone; equal for the same episode at another shot.
    """

    index: int
    problem: Problem
    gold: tuple[Gold, ...]
    query_ids: tuple[str, ...]
    pairing: str

    @property
    def id(self) -> str:
        return self.problem.id

    @property
    def rows(self) -> Rows:
        """What training needs of it."""
        problem = self.problem
        asked = zip(self.query_ids, problem.queries, self.gold, strict=True)
        queries = tuple(Example(row_id, query.text, gold, query.fields) for row_id, query, gold in asked)
        return Rows(problem.task, problem.labels, problem.support, queries)


@dataclass(frozen=True, slots=True)
class Rows:
    """An episode to be trained on: its labels, and its rows as a learner sees them, all with gold."""

    task: TaskInfo
    labels: tuple[Label, ...]
    support: tuple[Example, ...]
    queries: tuple[Example, ...]


@dataclass(frozen=True)
class EpisodeSampler:
    """`sampler[i]` is episode i, the same in any order, process or machine.

    Shots are nested: the support at shot k is the beginning of the support at k + 1, and the queries do not depend on
    the shot, so results at different shots are paired.

    Args:
        task: where texts come from.
        way: classes per episode (ignored by kinds without classes).
        shot: support texts per class.
        query: query texts per class.
        seed: drawn anew with every value.
        class_split: name of a class split of the task, or None for all classes.
        part: "train", "valid" or "test": which classes (class split) or rows the queries come from.
        query_balance: "equal", `query` texts of each class; or "dirichlet:ALPHA", `way * query` in proportions that
            are drawn per episode.

    Raises:
        UsageError, TaskError: when the data cannot fill such an episode; raised at construction, not in the middle.
    """

    task: Task
    way: int
    shot: int
    query: int
    seed: int = 0
    class_split: str | None = None
    part: str = "test"
    query_balance: str = EQUAL

    def __post_init__(self) -> None:
        for name in ("way", "shot", "query"):
            if getattr(self, name) < (0 if name == "shot" else 1):
                raise UsageError(f"--{name} {getattr(self, name)} is too small")
        self._kind.require(self._pools, self.labels, self.way, self.shot, self.query)
        balance = read_balance(self.query_balance)
        if balance is not None:
            object.__setattr__(self, "query_balance", str(balance))
            names = [label.name for label in self.labels]
            require_balance(balance, self._kind, self._pools, names, self.way, self.shot, self.query)

    @classmethod
    def of(
        cls,
        task: Task,
        way: int | None,
        shot: int,
        query: int | None,
        seed: int = 0,
        class_split: str | None = None,
        part: str = "test",
        query_balance: str = EQUAL,
    ) -> EpisodeSampler:
        """The sampler that is meant where not everything is said.

        Args:
            way: None takes all classes, at most 5.
            query: None takes 15, or as many as every class has.
            class_split: None takes the task's first one, where it has some; "all" every class.
            part: "test" stands for the valid rows of a task that publishes no test rows.
        """
        class_split = class_split or task.default_class_split()
        if class_split == "all":
            class_split = None
        if class_split is None and part == "test" and "test" not in task.rows and len(task.rows) > 1:
            part = "valid"
        if way is None:
            way = max(1, min(5, len(task.labels_in(class_split, part))))
        return with_queries(lambda query: cls(task, way, shot, query, seed, class_split, part, query_balance), query)

    @property
    def _kind(self) -> Kind:
        return kind_named(self.task.info.kind)

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The classes that episodes are drawn from."""
        return self.task.labels_in(self.class_split, self.part)

    @cached_property
    def _pools(self) -> Pools:
        return self.task.pools(self.class_split, self.part)

    def __getitem__(self, index: int) -> Episode:
        """Draw episode `index` (0, 1, 2, ...; there is no last one)."""
        if index < 0:
            raise IndexError("episodes are numbered from 0")
        drawn = self.draw(index)
        _refuse_leaks(drawn.support, drawn.queries)
        query_ids = tuple(row.id for row in drawn.queries)
        pairing = digest([self.task.data_fingerprint, [label.name for label in drawn.labels], query_ids])
        problem = Problem(
            id=digest([pairing, [row.id for row in drawn.support]]),
            task=drawn.task,
            labels=drawn.labels,
            support=drawn.support,
            queries=tuple(Query(f"q{at}", row.text, row.fields) for at, row in enumerate(drawn.queries)),
        )
        gold = tuple(row.label for row in drawn.queries if row.label is not None)
        return Episode(index, problem, gold, query_ids, pairing)

    def draw(self, index: int) -> Rows:
        """Episode `index` as training needs it, at a third of the cost: nothing is hidden, hashed or numbered."""
        drawn, visible = self._draw(index), self.task.visible
        labels = tuple(self._by_name[name] for name in drawn.labels)
        return Rows(self.task.info, labels, tuple(map(visible, drawn.support)), tuple(map(visible, drawn.queries)))

    def take(self, count: int) -> Iterator[Episode]:
        """The first `count` episodes."""
        return (self[index] for index in range(count))

    def rows(self) -> Iterator[Example]:
        """Every row that an episode may show or ask, as a learner sees it."""
        names = [label.name for label in self.labels] or [""]
        pools = dict.fromkeys((self._pools.support, self._pools.query))
        return (self.task.visible(row) for pool in pools for name in names for row in pool.by_label.get(name, ()))

    def manifest(self, count: int) -> list[str]:
        """The hashes of the first `count` episodes. Two runs are comparable on the common prefix of theirs."""
        return [episode.id for episode in self.take(count)]

    @cached_property
    def _by_name(self) -> dict[str, Label]:
        return {label.name: label for label in self.labels}

    def _draw(self, index: int) -> Draw:
        """The rows of episode `index`, queries shuffled."""
        seed = [self.task.data_fingerprint, self.class_split, self.part, self.way, self.seed, index]
        lots = Lots(*seed)
        drawn = self._kind.draw(self._pools, self.labels, self.way, self.shot, self._per_class, lots)
        drawn = self._balanced(drawn, seed)
        return replace(drawn, queries=tuple(drawn.queries[at] for at in lots.order(len(drawn.queries))))

    @property
    def _per_class(self) -> int:
        """How many queries of a class there may be."""
        return self.query if self.query_balance == EQUAL else self.way * self.query

    def _balanced(self, drawn: Draw, seed: Sequence[Any]) -> Draw:
        """The first queries of each class, as many as its share of the episode."""
        balance = read_balance(self.query_balance)
        if balance is None:
            return drawn
        most = [most_queries(self._pools, name, self.way, self.query) for name in drawn.labels]
        counts = balance.counts(self.way * self.query, most, random_state(*seed, "query balance"))
        of_class = ([row for row in drawn.queries if row.label == name] for name in drawn.labels)
        kept = (row for rows, count in zip(of_class, counts, strict=True) for row in rows[:count])
        return replace(drawn, queries=tuple(kept))


def with_queries(build: Callable[[int], EpisodeSampler], query: int | None) -> EpisodeSampler:
    """A sampler with `query` query texts per class; None takes 15, or as many as every class has."""
    for count in range(QUERIES, 1, -1) if query is None else ():
        with suppress(TaskError):
            return build(count)
    return build(1 if query is None else query)


def _refuse_leaks(support: tuple[Example, ...], queries: tuple[Example, ...]) -> None:
    """Support and queries share no row and no text. Pools are built so; this is the lock on the door."""
    shown = {row.id for row in support} | {content_key(row) for row in support}
    for row in queries:
        if row.id in shown or content_key(row) in shown:
            raise UsageError(f"row {row.id!r} would be both shown and asked: {row.text[:60]!r}")
