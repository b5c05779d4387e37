"""Examples that stand for the whole pool: greedy maximisation of the facility location function.

Lin and Bilmes, ACL 2011, "A Class of Submodular Functions for Document Summarization":

    f(S) = sum over the pool of max over s in S of max(0, cos(i, s)).

Greedy reaches at least 1 - 1/e of the best f for as many examples (Nemhauser et al. 1978). Gains can only fall as more
is taken, so only those are computed again that may still be the largest (Minoux 1978): the result is the same.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from icl.selectors.similarity import SpreadSelector
from icl.selectors.vectors import Encoded, cosines


@dataclass(frozen=True)
class Facility(SpreadSelector):
    """Takes, again and again, the example that adds most to f. Dense regions come first, outliers late.

    The similarities of the pool with itself are computed once: 5,000 examples take a second, 100,000 some minutes.
    """

    name = "facility"

    def order(self, encoded: Encoded, n: int) -> list[int]:
        vectors = encoded.vectors
        covered = np.zeros(vectors.shape[0])

        def gain(at: int) -> float:
            return float(np.round(np.maximum(cosines(vectors, vectors[[at]])[:, 0] - covered, 0).sum(), 3))

        blocks = [np.maximum(block, 0).sum(axis=1, dtype=np.float64) for _, block in encoded.all_cosines()]
        # Largest gain first, ties by position; the third says how many were taken when it was computed.
        heap = [(-value, at, 0) for at, value in enumerate(np.round(np.concatenate(blocks), 3).tolist())]
        heapq.heapify(heap)
        taken: list[int] = []
        while len(taken) < n:
            _, at, known = heapq.heappop(heap)
            if known < len(taken):
                heapq.heappush(heap, (-gain(at), at, len(taken)))
                continue
            taken.append(at)
            covered = np.maximum(covered, cosines(vectors, vectors[[at]])[:, 0])
        return taken
