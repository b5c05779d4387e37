"""Examples that stand for the whole pool: greedy maximisation of the facility location function.

Lin and Bilmes, ACL 2011, "A Class of Submodular Functions for Document Summarization":

    f(S) = sum over the pool of max over s in S of max(0, cos(i, s)).

Greedy reaches at least 1 - 1/e of the best f for as many examples (Nemhauser et al. 1978). Gains can only fall as more
is taken, so only those are computed again that may still be the largest (Minoux 1978): the result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from icl.selectors.base import nearest
from icl.selectors.similarity import SpreadSelector
from icl.selectors.vectors import Encoded, cosines

#: Gains that are computed again together.
_AT_ONCE = 128


@dataclass(frozen=True)
class Facility(SpreadSelector):
    """Takes, again and again, the example that adds most to f. Dense regions come first, outliers late.

    The similarities of the pool with itself are computed once: 5,000 examples take seconds, 100,000 many minutes.
    """

    name = "facility"

    def order(self, encoded: Encoded, n: int) -> list[int]:
        vectors = encoded.vectors
        covered = np.zeros(vectors.shape[0])
        # What each would add, when it was last computed, and how many were taken then.
        blocks = [np.maximum(block, 0).sum(axis=1, dtype=np.float64) for _, block in encoded.all_cosines()]
        gain, known = np.round(np.concatenate(blocks), 3), np.zeros(len(covered), np.int64)
        taken: list[int] = []
        while len(taken) < n:
            best = int(np.argmax(gain))
            if known[best] < len(taken):
                rows = nearest(gain, _AT_ONCE)
                stale = rows[known[rows] < len(taken)]
                added = np.maximum(cosines(vectors[stale], vectors) - covered, 0)
                gain[stale], known[stale] = np.round(added.sum(axis=1), 3), len(taken)
                continue
            taken.append(best)
            gain[best] = -np.inf
            covered = np.maximum(covered, cosines(vectors[[best]], vectors)[0])
        return taken
