"""Examples drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.content import content_key
from evals.types import Query
from fewshot.core.seeds import random_state
from icl.selectors.base import Pick, Pool, Selector, allowed


@dataclass(frozen=True)
class Random(Selector):
    """M examples drawn uniformly.

    Args:
        per_query: draw anew for every query. By default the queries of an episode share one draw, so that a model reads
            the demonstrations once.
    """

    name = "random"

    per_query: bool = False

    @property
    def by_query(self) -> bool:
        return self.per_query

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        shared = None if self.per_query else self.draw(pool, seed)
        return [
            allowed(self.draw(pool, [*seed, content_key(query)]) if shared is None else shared, pool, m, twins)
            for query, twins in zip(queries, excluded, strict=True)
        ]

    def draw(self, pool: Pool, seed: Sequence[Any]) -> list[int]:
        """A random order of the whole pool; the first M are shown."""
        return random_state(*seed, self.name).permutation(len(pool.examples)).tolist()
