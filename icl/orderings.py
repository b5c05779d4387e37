"""Orderings: in which order the chosen examples stand in the prompt. The last one stands next to the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evals.content import content_key
from evals.types import Query
from fewshot.core.errors import UsageError
from fewshot.core.seeds import seed_of
from icl.parts import Part
from icl.selectors.base import Pick


class Ordering(Protocol):
    """Puts picks into prompt order."""

    def order(self, picks: Sequence[Pick], query: Query, seed: Sequence[Any] = ()) -> list[Pick]:
        """The same picks, first to last in the prompt. Depends on the arguments alone."""
        ...

    def describe(self) -> dict[str, Any]: ...


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
