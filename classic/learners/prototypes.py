"""Nearest class mean in the space of a frozen encoder: prototypical networks without training.

Snell, Swersky and Zemel, NeurIPS 2017, arXiv 1703.05175, eq. 1 and 2. A problem with n_way classes and k shots becomes
(n_way, d) means; a query scores -|q - mean|^2 / temperature. Vectors have length 1.

Trap: with one shot "euclidean" and "cosine" decide alike, since all vectors are as long; with more, a mean is the
shorter the less its class agrees, and only "cosine" forgives that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from classic.functional.distances import require_metric
from classic.learners.base import FrozenLearner
from fewshot.encoders.prototypes import class_means, cosine_logits, euclidean_logits, log_softmax, normalized

if TYPE_CHECKING:
    from classic.functional.distances import Distance


@dataclass(eq=False, kw_only=True)
class Prototypes(FrozenLearner):
    """The class whose mean support vector is nearest.

    Attributes:
        distance: "euclidean" (squared) or "cosine".
        temperature: scores are divided by it; it moves probabilities, not decisions.
    """

    name = "prototypes"
    distance: Distance = "cosine"
    temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_metric(self.distance, self.temperature)

    def _solve(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        means = cast(np.ndarray, class_means(support, classes, n_way))
        if self.distance == "euclidean":
            return log_softmax(euclidean_logits(queries, means), self.temperature)
        # Folding changes lengths.
        return log_softmax(cosine_logits(normalized(queries), means), self.temperature)
