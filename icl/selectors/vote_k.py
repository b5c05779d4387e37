"""Examples that many others are like, and few taken ones: vote-k.

Su et al., ICLR 2023, "Selective Annotation Makes Language Models Better Few-Shot Learners" (arXiv 2209.01975), section
2.2, without the second stage, which asks a language model: their "fast vote-k".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewshot.core.errors import UsageError
from icl.parts import between
from icl.selectors.base import nearest
from icl.selectors.similarity import SpreadSelector
from icl.selectors.vectors import Encoded


@dataclass(frozen=True)
class VoteK(SpreadSelector):
    """Every example votes for its nearest neighbours; the one with most votes is taken, again and again.

    A vote weighs rho ** -t, where t is how many of a voter's neighbours are taken already. Taken ones do not vote.

    Args:
        neighbours: for which an example votes. The paper takes 150 of 3,000; None is a twentieth of the pool, at most
            150 and at least 3.
        rho: how much a voter loses with each neighbour that is taken; the paper's value.
    """

    name = "vote-k"

    neighbours: int | None = None
    rho: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours is not None and not (isinstance(self.neighbours, int) and between(self.neighbours, 1)):
            raise UsageError(f"vote-k:neighbours={self.neighbours} is no number of examples: give 1 or more")
        if not between(self.rho, 1.001):
            raise UsageError(f"vote-k:rho={self.rho} is not above 1: votes would not lose weight")

    def order(self, encoded: Encoded, n: int) -> list[int]:
        size = encoded.vectors.shape[0]
        k = min(size - 1, self.neighbours or min(150, max(3, size // 20)))
        chosen = np.zeros((size, k), np.int64)  # whom each votes for
        for start, block in encoded.all_cosines():
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf  # not for itself
            chosen[start : start + len(block)] = [nearest(row, k) for row in block]
        weight = np.ones(size)
        taken: list[int] = []
        while len(taken) < n:
            votes = np.bincount(chosen.ravel(), np.repeat(weight, k), minlength=size).astype(np.float64)
            votes[taken] = -np.inf
            best = int(np.argmax(np.round(votes, 9)))
            taken.append(best)
            weight[(chosen == best).any(axis=1)] /= self.rho
            weight[best] = 0.0
        return taken
