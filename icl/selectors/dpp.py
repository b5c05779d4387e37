"""Examples that span much of the space: greedy maximisation of a k-DPP's determinant.

Chen et al., NeurIPS 2018, "Fast Greedy MAP Inference for Determinantal Point Process" (arXiv 1709.05135): the greedy
choice by an incremental Cholesky factorisation. The kernel is that of CEIL (Ye et al., ICML 2023, arXiv 2302.05698),

    L_ij = exp(cos(i, query) / (2 lambda)) * cos(i, j) * exp(cos(j, query) / (2 lambda)),

so that log det L_S = sum over S of cos(i, query) / lambda + log det of the cosines among S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evals.types import Query
from fewshot.core.errors import UsageError
from fewshot.encoders.prototypes import squared_lengths
from icl.parts import between
from icl.selectors.base import Pick, Pool, shared
from icl.selectors.similarity import QuerySelector
from icl.selectors.vectors import cosines

#: What is left of a vector's squared length outside the span of the others, below which it lies within: cosines have
#: five digits.
_WITHIN = 1e-4


@dataclass(frozen=True)
class DPP(QuerySelector):
    """Takes, M times, the example that adds most to log det L, among the `fetch` most similar to the query.

    Where no example is left that is not a combination of the taken ones, the most similar ones follow.

    Args:
        lambda_: weight of diversity against similarity to the query, above 0. Written `lambda` in a spec.
        query: whether similarity to the query counts; without it the choice is the same for all queries.
    """

    name = "dpp"

    lambda_: float = 0.1
    query: bool = True
    fetch: int | None = field(default=100, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.query, bool):
            raise UsageError(f"dpp:query={self.query} is neither true nor false")
        if not between(self.lambda_, 1e-6):
            raise UsageError(f"dpp:lambda={self.lambda_} is not above 0")

    @property
    def by_query(self) -> bool:
        return self.query

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        if self.query:
            return super().rank(queries, pool, m, excluded, seed)
        alike = np.zeros(len(pool.examples))
        return shared(lambda n: greedy_map(self.encode(pool).vectors, alike, n), pool, m, excluded)

    def take(self, similar: np.ndarray, vectors: Any, m: int) -> list[int]:
        quality = similar.astype(np.float64) / self.lambda_
        return greedy_map(vectors, quality, m)


def greedy_map(vectors: Any, quality: np.ndarray, m: int) -> list[int]:
    """Positions taken, in order.

    Args:
        vectors: (n, d) of length 1. quality: (n,), the logarithm of what an example is worth by itself.
    """
    n = len(quality)
    worth = quality.copy()
    outside = squared_lengths(vectors)  # squared length of each vector outside the span of the taken ones
    rows = np.zeros((min(m, n), n))  # of the Cholesky factor
    taken: list[int] = []
    while len(taken) < min(m, n):
        gain = np.where(outside > _WITHIN, worth + np.log(np.maximum(outside, _WITHIN)), -np.inf)
        gain = gain if np.isfinite(gain).any() else worth
        best, at = int(np.argmax(gain)), len(taken)
        if outside[best] > _WITHIN:
            product = cosines(vectors, vectors[[best]])[:, 0] - rows[:at].T @ rows[:at, best]
            rows[at] = product / np.sqrt(outside[best])
            outside = outside - rows[at] ** 2
        worth[best] = -np.inf
        taken.append(best)
    return taken
