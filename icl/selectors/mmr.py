"""Maximal marginal relevance: similar to the query, unlike each other (Carbonell and Goldstein 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.types import Query
from fewshot.core.errors import UsageError
from icl.selectors.base import Pick, Pool
from icl.selectors.similarity import Encoded, SimilaritySelector


@dataclass(frozen=True)
class MMR(SimilaritySelector):
    """Takes, M times, the example d that maximises

        lambda * cos(d, query) - (1 - lambda) * max over taken s of cos(d, s)

    The whole pool is searched, not a shortlist. Ties in the order of the pool.

    Args:
        lambda_: weight of relevance against novelty, 0 to 1; 1 is knn. Written `lambda` in a spec.
    """

    name = "mmr"

    lambda_: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.lambda_ <= 1:
            raise UsageError(f"mmr:lambda={self.lambda_} is not between 0 and 1")

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        if m == 0:
            return [[] for _ in queries]
        encoded = self.encode(pool)
        cosines = self.cosines(queries, encoded)
        return [
            [Pick(pool.examples[at], float(similar[at])) for at in self._take(similar, encoded, m, twins)]
            for similar, twins in zip(cosines, excluded, strict=True)
        ]

    def _take(self, similar: np.ndarray, encoded: Encoded, m: int, twins: frozenset[int]) -> list[int]:
        relevance = self.lambda_ * similar.astype(np.float64)
        relevance[list(twins)] = -np.inf
        # Nothing is taken yet, so nothing repeats: the first pick is the most relevant.
        redundancy = np.zeros(len(similar))
        taken: list[int] = []
        for _ in range(min(m, len(similar) - len(twins))):
            best = int(np.argmax(relevance - (1 - self.lambda_) * redundancy))
            taken.append(best)
            relevance[best] = -np.inf
            to_best = encoded.similarities(encoded.vectors[[best]])[:, 0]
            redundancy = to_best if len(taken) == 1 else np.maximum(redundancy, to_best)
        return taken
