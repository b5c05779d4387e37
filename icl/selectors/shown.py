"""Everything that is given, to every query: for readouts that choose the demonstrations themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.types import Query
from icl.selectors.base import Pick, Pool, Selector


@dataclass(frozen=True)
class Shown(Selector):
    """The whole pool, in its order, to a query that is in it as well: all prompts show the same."""

    name = "shown"

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        return [[Pick(example) for example in pool.examples[:m]] for _ in queries]
