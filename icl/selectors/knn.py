"""The examples most similar to the query (Liu et al. 2022, "What Makes Good In-Context Examples for GPT-3?")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.types import Query
from icl.selectors.base import Pick, Pool, most_similar
from icl.selectors.similarity import SimilaritySelector


@dataclass(frozen=True)
class KNN(SimilaritySelector):
    """The M nearest examples by cosine similarity, nearest first; ties in the order of the pool. Exact search."""

    name = "knn"

    @property
    def by_query(self) -> bool:
        return True

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        if m == 0:
            return [[] for _ in queries]
        cosines = self.encode(pool).cosines(queries)
        return [most_similar(similar, pool, m, twins) for similar, twins in zip(cosines, excluded, strict=True)]
