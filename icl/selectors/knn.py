"""The examples most similar to the query (Liu et al. 2022, "What Makes Good In-Context Examples for GPT-3?")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.types import Query
from icl.selectors.base import Pick, Pool
from icl.selectors.similarity import SimilaritySelector


@dataclass(frozen=True)
class KNN(SimilaritySelector):
    """The M nearest examples by cosine similarity, nearest first; ties in the order of the pool. Exact search."""

    name = "knn"

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        if m == 0:
            return [[] for _ in queries]
        cosines = self.cosines(queries, self.encode(pool))
        return [
            [Pick(pool.examples[at], float(similar[at])) for at in nearest(similar, m + len(twins)) if at not in twins][
                :m
            ]
            for similar, twins in zip(cosines, excluded, strict=True)
        ]


def nearest(similar: np.ndarray, m: int) -> list[int]:
    """Positions of the `m` largest values, largest first, ties by position, without sorting the rest."""
    if m >= len(similar):
        return np.argsort(-similar, kind="stable").tolist()
    candidates = np.flatnonzero(similar >= np.partition(similar, -m)[-m])
    return candidates[np.argsort(-similar[candidates], kind="stable")][:m].tolist()
