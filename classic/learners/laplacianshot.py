"""LaplacianShot: near prototypes, and labelled like one's neighbours.

Ziko et al., ICML 2020, arXiv 2006.15486. Assignments y of the queries minimise

    sum_q y_q . (log y_q - cos(q, p) / temperature) - weight / 2 * sum_qr w_qr y_q . y_r

where w_qr is 1 for the `neighbours` queries r that are most similar to q. Every step minimises a bound of it,
for all queries at once:

    y_q <- softmax(cos(q, p) / temperature + weight * sum_r w_qr y_r)

Before that, prototypes are rectified by the queries once, as the authors do: each becomes the mean of its support texts
and of its shares of the queries. The authors' shift of the queries onto the mean of the support is left out: where one
class is asked more often than others, it moves every query towards the rest.

Traps: w is not symmetric, as in the authors' code, so what a step minimises is a bound only nearly. A query is no
neighbour of itself, or nothing would ever change its mind; two copies of a text are neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from classic.learners.transductive import (
    Centre,
    TransductiveLearner,
    means_with_queries,
    require_above_0,
    require_counts,
    softmax,
    unit,
)

#: Where no assignment moves by more, steps end.
_SETTLED = 1e-6
#: Rows whose similarities to all others are held at once.
_BLOCK = 1024


@dataclass(eq=False, kw_only=True)
class LaplacianShot(TransductiveLearner):
    """Prototypes, with a pull towards the labels of similar queries.

    Attributes:
        neighbours: similar queries that each query looks at.
        weight: how much each of them counts.
        rectify: whether prototypes are rectified.
        steps: at most.
    """

    name = "laplacianshot"
    temperature: float = 0.1
    centre: Centre = "both"
    neighbours: int = 3
    weight: float = 1.0
    rectify: bool = True
    steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        require_counts(neighbours=self.neighbours, steps=self.steps)
        require_above_0(weight=self.weight)

    def _assigned(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        nearness = np.zeros((len(queries), n_way))
        shares = np.zeros_like(nearness)
        for _ in range(1 + self.rectify):
            means = means_with_queries(support, classes, queries, shares)
            nearness = queries @ unit(means).T / self.temperature
            shares = softmax(nearness)
        near = nearest(queries, self.neighbours)
        for _ in range(self.steps):
            before, shares = shares, softmax(nearness + self.weight * shares[near].sum(axis=1))
            if np.abs(shares - before).max() < _SETTLED:
                break
        return shares


def nearest(vectors: np.ndarray, count: int) -> np.ndarray:
    """(n, count) rows most similar to each row, itself left out; fewer columns where there are fewer rows.

    Of equally similar rows, the first is taken.
    """
    found = [np.empty((0, min(count, len(vectors) - 1)), dtype=int)]
    for start in range(0, len(vectors), _BLOCK):
        similar = vectors[start : start + _BLOCK] @ vectors.T
        own = np.arange(len(similar))
        similar[own, start + own] = -np.inf
        found.append(np.argsort(-similar, axis=1, kind="stable")[:, : min(count, len(vectors) - 1)])
    return np.concatenate(found)
