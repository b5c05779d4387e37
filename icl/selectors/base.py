"""Selectors choose, for a query, which examples of a pool are shown. The base class keeps the query itself out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from evals.content import content_key, whole_text
from evals.language import UNKNOWN, guess_language
from evals.types import Example, Query
from fewshot.core.errors import UsageError
from icl.parts import Part
from icl.rows import example_of, query_of

_Key = TypeVar("_Key")
#: Stands for a query that is not known yet; no text is written like it.
_ANY = Query("\ue000", "\ue000")


class Pick(NamedTuple):
    """A chosen example and how similar the selector found it to the query; None where it has no such notion."""

    example: Example
    similarity: float | None = None


@dataclass(frozen=True, eq=False)
class Pool:
    """Examples to choose from, indexed once however many queries are asked.

    >>> pool = Pool([{"text": "good film", "label": "positive"}, {"text": "dull", "label": "negative"}])
    >>> pool.examples[1].label
    'negative'

    Args:
        examples: or mappings with a `text`, usually a `label`, and whatever else belongs to an example.

    Attributes:
        language: BCP 47, of their texts; an encoder that is to be chosen is chosen by it. "und" where it is not known.
    """

    examples: Sequence[Example]
    language: str = UNKNOWN

    def __init__(self, examples: Iterable[Example | Mapping[str, Any]], language: str = UNKNOWN) -> None:
        rows = examples if isinstance(examples, tuple) else tuple(examples)
        known = all(isinstance(row, Example) for row in rows)
        object.__setattr__(self, "examples", rows if known else tuple(map(example_of, rows, range(len(rows)))))
        object.__setattr__(self, "language", language)

    @property
    def whole(self) -> Pool:
        """The pool that this one is a part of; itself where it is none."""
        return self

    @property
    def rows(self) -> np.ndarray | slice:
        """Where its examples stand in the whole."""
        return slice(None)

    @cached_property
    def classes(self) -> tuple[Pool, ...]:
        """The examples of each class as pools of their own, in the order of the labels."""
        found = _positions(example.label for example in self.examples)
        return tuple(_Part(self, np.array(found[label])) for label in sorted(found, key=repr))

    def twins(self, query: Query) -> frozenset[int]:
        """Positions of the examples that are the query itself, by id or by content."""
        return frozenset(self._by_id.get(query.id, ())) | frozenset(self._by_content.get(content_key(query), ()))

    @cached_property
    def spoken(self) -> str:
        """The language, told by the texts where it is not known."""
        return guess_language(self.texts) if self.language == UNKNOWN else self.language

    @cached_property
    def texts(self) -> list[str]:
        return [whole_text(example) for example in self.examples]

    @cached_property
    def _by_id(self) -> dict[str, list[int]]:
        return _positions(example.id for example in self.examples)

    @cached_property
    def _by_content(self) -> dict[str, list[int]]:
        return _positions(map(content_key, self.examples))


class _Part(Pool):
    """Some examples of a pool, which share what is known of the whole."""

    def __init__(self, whole: Pool, rows: np.ndarray) -> None:
        super().__init__(tuple(whole.examples[at] for at in rows), whole.spoken)
        self._whole, self._rows = whole, rows

    @property
    def whole(self) -> Pool:
        return self._whole

    @property
    def rows(self) -> np.ndarray | slice:
        return self._rows


def _positions(keys: Iterable[_Key]) -> dict[_Key, list[int]]:
    found: dict[_Key, list[int]] = {}
    for at, key in enumerate(keys):
        found.setdefault(key, []).append(at)
    return found


class Selector(Part, ABC):
    """Chooses up to `m` examples per query, the most wanted first.

    Subclasses define `rank`. What they return depends on the query, the pool and the seed alone, never on the other
    queries or their order.
    """

    @property
    def by_query(self) -> bool:
        """Whether the choice depends on the text of the query."""
        return False

    def select(
        self, queries: Sequence[Query | str | Mapping[str, Any]], pool: Pool, m: int, seed: Sequence[Any] = ()
    ) -> list[list[Pick]]:
        """Choose for each query.

        Args:
            queries: texts to be labelled.
            pool: where demonstrations come from.
            m: how many are wanted; fewer come back when the pool holds fewer that are not the query itself.
            seed: what random choices depend on (run seed, episode), JSON values.

        Returns:
            Per query, picks in order of preference, without the query itself (by id or by content).

        Raises:
            UsageError: `m` is negative, or the selector cannot choose so many or so few.
        """
        if m < 0:
            raise UsageError(f"--demos {m} is negative; use 0 for none, or all")
        asked = [query_of(query, at) for at, query in enumerate(queries)]
        return self.rank(asked, pool, min(m, len(pool.examples)), [pool.twins(query) for query in asked], seed)

    def choose(self, pool: Pool, m: int, seed: Sequence[Any] = ()) -> list[Example]:
        """The same examples for whatever query will come.

        Args:
            pool, m, seed: as for `select`.

        Raises:
            UsageError: the selector chooses by the query.
        """
        if self.by_query:
            others = "farthest, facility, vote-k, dpp:query=false, balanced or random"
            raise UsageError(f"selector {self.name!r} chooses by the query: give it one (--text), or use {others}")
        return [pick.example for pick in self.select([_ANY], pool, m, seed)[0]]

    def notes(self, pool: Pool) -> tuple[str, ...]:
        """What a reader should know of how this pool is chosen from, one line each."""
        return ()

    @abstractmethod
    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        """As `select`; `excluded` holds, per query, the positions that must not be returned."""


def allowed(order: Iterable[int], pool: Pool, m: int, excluded: frozenset[int]) -> list[Pick]:
    """The first `m` positions of `order` that are not excluded, as picks without similarity."""
    return [Pick(pool.examples[at]) for at in order if at not in excluded][:m]


def shared(
    order: Callable[[int], Iterable[int]], pool: Pool, m: int, excluded: Sequence[frozenset[int]]
) -> list[list[Pick]]:
    """One choice for all queries, from which each leaves out what it is itself.

    Args:
        order: gives the first n positions of the choice; those of more begin with those of fewer.
    """
    if m == 0:
        return [[] for _ in excluded]
    positions = list(order(min(len(pool.examples), m + max(map(len, excluded), default=0))))
    return [allowed(positions, pool, m, twins) for twins in excluded]


def nearest(similar: np.ndarray, m: int) -> np.ndarray:
    """Positions of the `m` largest values, largest first, ties by position, without sorting the rest."""
    if m >= len(similar):
        return np.argsort(-similar, kind="stable")
    candidates = np.flatnonzero(similar >= np.partition(similar, -m)[-m])
    return candidates[np.argsort(-similar[candidates], kind="stable")][:m]


def most_similar(similar: np.ndarray, pool: Pool, m: int, excluded: frozenset[int]) -> list[Pick]:
    """The `m` examples of the largest values, largest first, ties in the order of the pool, without those excluded."""
    taken = [at for at in nearest(similar, m + len(excluded)).tolist() if at not in excluded]
    return [Pick(pool.examples[at], float(similar[at])) for at in taken[:m]]
