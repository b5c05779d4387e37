"""Every example of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.types import Query
from fewshot.core.errors import UsageError
from icl.selectors.base import Pick, Pool, Selector, allowed


@dataclass(frozen=True)
class All(Selector):
    """Every example, in the order of the pool. It chooses nothing, so asking it for some of them is an error."""

    name = "all"

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        if 0 < m < len(pool.examples):
            raise UsageError(
                f"selector 'all' cannot choose {m} of {len(pool.examples)}; use --selector balanced, or --demos all"
            )
        return [allowed(range(len(pool.examples)), pool, m, twins) for twins in excluded]
