"""Every example of the pool, or as many as are wanted of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.types import Query
from icl.selectors.all import All
from icl.selectors.balanced import Balanced
from icl.selectors.base import Pick, Pool, Selector


@dataclass(frozen=True)
class Auto(Selector):
    """As `all` where every example is wanted, else as `balanced`."""

    name = "auto"

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        chosen = Balanced() if m < len(pool.examples) else All()
        return chosen.rank(queries, pool, m, excluded, seed)
