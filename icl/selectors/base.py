"""Selectors choose, for a query, which examples of a pool are shown. The base class keeps the query itself out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from evals.content import content_key, whole_text
from evals.language import UNKNOWN, guess_language
from evals.types import Example, Query
from fewshot.core.errors import UsageError
from icl.parts import Part


class Pick(NamedTuple):
    """A chosen example and its cosine similarity to the query, or None where the selector has no such notion."""

    example: Example
    similarity: float | None = None


@dataclass(frozen=True, eq=False)
class Pool:
    """Examples to choose from, indexed once however many queries are asked.

    Attributes:
        language: BCP 47, of their texts; an encoder that is to be chosen is chosen by it. "und" where it is not known.
    """

    examples: tuple[Example, ...]
    language: str = UNKNOWN

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


def _positions(keys: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for at, key in enumerate(keys):
        found.setdefault(key, []).append(at)
    return found


class Selector(Part, ABC):
    """Chooses up to `m` examples per query, the most wanted first.

    Subclasses define `rank`. What they return depends on the query, the pool and the seed alone, never on the other
    queries or their order.
    """

    ranks_by_similarity: ClassVar[bool] = False

    def select(self, queries: Sequence[Query], pool: Pool, m: int, seed: Sequence[Any] = ()) -> list[list[Pick]]:
        """Choose for each query.

        Args:
            queries: texts to be labelled.
            pool: where demonstrations come from.
            m: how many are wanted; fewer come back when the pool holds fewer that are not the query itself.
            seed: what random choices depend on (run seed, episode), JSON values.

        Returns:
            Per query, picks in order of preference, without the query itself (by id or by text).

        Raises:
            UsageError: `m` is negative, or the selector cannot choose so many or so few.
        """
        if m < 0:
            raise UsageError(f"--demos {m} is negative; use 0 for none, or all")
        return self.rank(queries, pool, min(m, len(pool.examples)), [pool.twins(query) for query in queries], seed)

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
