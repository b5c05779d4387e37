"""Orderings: in which order the chosen examples stand in the prompt. The last one stands next to the query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from evals.content import content_key
from evals.types import Query
from fewshot.core.errors import UsageError
from fewshot.core.seeds import seed_of
from icl.parts import Part
from icl.selectors.base import Pick, Pool, Selector

#: Examples of a pool whose neighbours tell what is popular; more of them tell the same.
_MOST_ASKED = 256


class Ordering(Protocol):
    """Puts picks into prompt order."""

    def order(self, picks: Sequence[Pick], query: Query, seed: Sequence[Any] = ()) -> list[Pick]:
        """The same picks, first to last in the prompt. Depends on the arguments alone."""
        ...

    def describe(self) -> dict[str, Any]: ...


@runtime_checkable
class LooksAtPool(Protocol):
    """An ordering that looks at the pool once, before it is asked about queries."""

    def over(self, selector: Selector, pool: Pool, m: int, seed: Sequence[Any]) -> Ordering:
        """This ordering for what the selector will choose, `m` at a time, from the pool."""
        ...


@dataclass(frozen=True)
class Given(Part):
    """As the selector returned them."""

    name = "given"

    def order(self, picks: Sequence[Pick], query: Query, seed: Sequence[Any] = ()) -> list[Pick]:
        return list(picks)


@dataclass(frozen=True)
class NearestLast(Part):
    """The most similar example last, next to the query."""

    name = "nearest-last"

    def order(self, picks: Sequence[Pick], query: Query, seed: Sequence[Any] = ()) -> list[Pick]:
        """Raises UsageError where the selector gives no similarities."""

        def similarity(pick: Pick) -> float:
            if pick.similarity is None:
                raise UsageError(
                    "ordering 'nearest-last' needs similarities; use --selector knn, bm25, mmr or dpp, or "
                    "--order shuffled"
                )
            return pick.similarity

        # Reversed last: of two equally similar picks, the one that the selector preferred comes last.
        return sorted(picks, key=similarity, reverse=True)[::-1]


@dataclass(frozen=True)
class Shuffled(Part):
    """A random order per episode.

    Every example draws its own place, so two examples stand in the same order whatever else is shown, and queries that
    share demonstrations share the beginning of their prompts.

    Args:
        per_query: draw anew for every query. It averages the effect of the order, and nothing can be shared.
    """

    name = "shuffled"

    per_query: bool = False

    def order(self, picks: Sequence[Pick], query: Query, seed: Sequence[Any] = ()) -> list[Pick]:
        own = [content_key(query)] if self.per_query else []
        return sorted(picks, key=lambda pick: seed_of(*seed, self.name, *own, pick.example.id))


@dataclass(frozen=True)
class Shared(Part):
    """The most popular examples first, so that prompts share their beginnings where every query has its own examples.

    Popular is what is chosen for many of the pool's own examples. The queries are not looked at: what is shown to one
    does not depend on the others. What begins alike is computed once by models on this machine, and cached by vendors.

    Args:
        popularity: example -> for how many others of the pool it is chosen; `over` counts it.
    """

    name = "shared"

    popularity: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def over(self, selector: Selector, pool: Pool, m: int, seed: Sequence[Any]) -> Shared:
        """With the popularity of the examples of a pool."""
        asked = [Query(example.id, example.text, example.fields) for example in pool.examples[:_MOST_ASKED]]
        chosen = selector.select(asked, pool, m, seed)
        return Shared(Counter(pick.example.id for picks in chosen for pick in picks))

    def order(self, picks: Sequence[Pick], query: Query, seed: Sequence[Any] = ()) -> list[Pick]:
        def place(pick: Pick) -> tuple[int, int]:
            return -self.popularity.get(pick.example.id, 0), seed_of(*seed, self.name, pick.example.id)

        return sorted(picks, key=place)
