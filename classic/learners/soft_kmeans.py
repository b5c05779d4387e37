"""Soft k-means: class means that the queries move.

Ren et al., ICLR 2018, arXiv 1803.00676, section 3.1.1, with the queries as the unlabelled texts. Beginning at the means
of the support, every query is shared out among the classes by its nearness to their means, and each mean becomes that
of its support texts, which belong to it wholly, and of its shares of the queries:

    z_jc = softmax_c(cos(q_j, p_c) / temperature)        p_c = (sum_i x_i + sum_j z_jc q_j) / (n_c + sum_j z_jc)

Traps: the paper takes one step in a space that was trained for it; in a frozen one, distances are small, and shares
are told apart only at a low temperature. A class that is not asked keeps its mean only where others leave it no shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from classic.learners.transductive import TransductiveLearner, means_with_queries, require_counts, softmax, unit


@dataclass(eq=False, kw_only=True)
class SoftKMeans(TransductiveLearner):
    """Class means refined by soft shares of the queries.

    Attributes:
        steps: refinements; with 0 these are prototypes.
    """

    name = "soft-kmeans"
    steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_counts(steps=self.steps)

    def _assigned(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        shares = np.zeros((len(queries), n_way))
        for _ in range(self.steps + 1):
            means = means_with_queries(support, classes, queries, shares)
            shares = softmax(queries @ unit(means).T / self.temperature)
        return shares
