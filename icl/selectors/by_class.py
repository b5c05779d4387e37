"""What selectors share that can be asked for equally many examples of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, zip_longest
from typing import Any

from evals.types import Query
from fewshot.core.errors import UsageError
from fewshot.core.seeds import random_state
from icl.rows import query_of
from icl.selectors.base import Pick, Pool, Selector


@dataclass(frozen=True)
class ClassSelector(Selector):
    """Base of selectors with a balanced version.

    Args:
        balanced: choose within each class, in turns, so that their numbers differ by at most one as long as no class
            runs out. In the last turn, the classes get one more whose example is more similar to the query; the seed
            decides where no similarity does.
    """

    balanced: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.balanced, bool):
            raise UsageError(f"{self.name}:balanced={self.balanced} is neither true nor false")

    def select(
        self, queries: Sequence[Query | str | Mapping[str, Any]], pool: Pool, m: int, seed: Sequence[Any] = ()
    ) -> list[list[Pick]]:
        """As `Selector.select`."""
        if not self.balanced or m <= 0:
            return super().select(queries, pool, m, seed)
        asked = [query_of(query, at) for at, query in enumerate(queries)]
        free = [
            len(part.examples) - max((len(part.twins(query)) for query in asked), default=0) for part in pool.classes
        ]
        turns = next(n for n in count(1) if n >= max(free, default=0) or sum(min(n, size) for size in free) >= m)
        order = random_state(*seed, self.name).permutation(len(free)).tolist()
        found = [super(ClassSelector, self).select(asked, pool.classes[at], turns, seed) for at in order]
        turn_by_turn = [zip_longest(*(of_class[at] for of_class in found)) for at in range(len(asked))]
        return [list(chain.from_iterable(map(_nearest_first, each)))[:m] for each in turn_by_turn]


def _nearest_first(turn: Sequence[Pick | None]) -> list[Pick]:
    """The picks of one turn, one of each class that has not run out."""
    there = [pick for pick in turn if pick is not None]
    return sorted(there, key=lambda pick: -(pick.similarity or 0.0))
