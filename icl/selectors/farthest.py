"""Examples as far from each other as can be: farthest-point traversal.

Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"; the core-set choice of Sener and Savarese,
ICLR 2018 (arXiv 1708.00489). No example is farther from its nearest chosen one than twice what the best choice of as
many achieves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from icl.selectors.similarity import SpreadSelector
from icl.selectors.vectors import Encoded, cosines


@dataclass(frozen=True)
class Farthest(SpreadSelector):
    """The example nearest to the mean of the pool, then, again and again, the one least similar to all taken ones.

    It likes outliers: where the pool has mislabelled or odd texts, they come early.
    """

    name = "farthest"

    def order(self, encoded: Encoded, n: int) -> list[int]:
        vectors = encoded.vectors
        mean = np.asarray(vectors.sum(axis=0)).reshape(1, -1)
        taken = [int(np.argmax(np.round(vectors @ mean[0], 3)))]
        nearest = np.full(vectors.shape[0], -np.inf)
        while len(taken) < n:
            nearest = np.maximum(nearest, cosines(vectors, vectors[taken[-1:]])[:, 0])
            nearest[taken] = np.inf
            taken.append(int(np.argmin(nearest)))
        return taken
