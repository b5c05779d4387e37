"""alpha-TIM: prototypes that make the answers to the queries both sure and varied.

Veilleux et al., NeurIPS 2021, arXiv 2204.11181. Beginning at the class means, the prototypes w minimise, by Adam,

    cross-entropy of the support - (H(mean_q p_q) - mean_q H(p_q)),     p_q = softmax_c(-|q - w_c|^2 / (2 temperature))

H is the alpha-entropy of Tsallis, (1 - sum_c p_c^alpha) / (alpha - 1); with alpha = 1 it is Shannon's, and this is TIM
(Boudiaf et al., NeurIPS 2020, arXiv 2008.11297), whose first H asks for equally frequent answers. The higher alpha, the
less that H gains from the last step towards equal frequencies. The support keeps Shannon's cross-entropy.

Traps: alpha above 1 is no cure for queries that all belong to one class: they are still pulled apart, the more the
longer one steps. Prototypes are not made of length 1 again: their length says how often a class is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from classic.learners.transductive import TransductiveLearner, require_above_0, require_counts, softmax
from fewshot.encoders.prototypes import class_means

#: Of Adam: how much of the mean gradient and of the mean squared gradient a step keeps.
_KEPT, _KEPT_SQUARE, _SMALL = 0.9, 0.999, 1e-8


@dataclass(eq=False, kw_only=True)
class AlphaTIM(TransductiveLearner):
    """Prototypes moved along the alpha-mutual information between queries and answers.

    Attributes:
        alpha: 1 believes in classes that are asked equally often; the more above it, the less.
        lr: of Adam. steps: of it.
    """

    name = "alpha-tim"
    temperature: float = 0.2
    alpha: float = 2.0
    lr: float = 3e-3
    steps: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        require_above_0(alpha=self.alpha, lr=self.lr)
        require_counts(steps=self.steps)

    def _assigned(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        weights = cast(np.ndarray, class_means(support, classes, n_way))
        mean, square = np.zeros_like(weights), np.zeros_like(weights)
        for step in range(1, self.steps + 1):
            slope = gradient(weights, support, classes, queries, self.temperature, self.alpha)
            mean = _KEPT * mean + (1 - _KEPT) * slope
            square = _KEPT_SQUARE * square + (1 - _KEPT_SQUARE) * slope**2
            size = np.sqrt(square / (1 - _KEPT_SQUARE**step)) + _SMALL
            weights = weights - self.lr * mean / (1 - _KEPT**step) / size
        return _probabilities(queries, weights, self.temperature)


def loss(
    weights: np.ndarray,
    support: np.ndarray,
    classes: np.ndarray,
    queries: np.ndarray,
    temperature: float,
    alpha: float,
) -> float:
    """What is minimised: the cross-entropy of the support less the alpha-mutual information of the queries.

    Args:
        weights: (n_way, d). support: (n_support, d). classes: (n_support,). queries: (n_query, d).
    """
    shown, asked = (_probabilities(rows, weights, temperature) for rows in (support, queries))
    surprise = -np.log(shown[np.arange(len(classes)), classes]).mean()
    return float(surprise - entropy(asked.mean(axis=0), alpha) + entropy(asked, alpha).mean())


def gradient(
    weights: np.ndarray,
    support: np.ndarray,
    classes: np.ndarray,
    queries: np.ndarray,
    temperature: float,
    alpha: float,
) -> np.ndarray:
    """The derivative (n_way, d) of `loss` by the weights."""
    shown, asked = (_probabilities(rows, weights, temperature) for rows in (support, queries))
    by_shown = (shown - np.eye(len(weights))[classes]) / len(support)
    by_share = (_slope(asked, alpha) - _slope(asked.mean(axis=0), alpha)) / len(queries)
    by_asked = asked * (by_share - (asked * by_share).sum(axis=1, keepdims=True))
    pulls = by_shown.sum(axis=0) + by_asked.sum(axis=0)
    return (by_shown.T @ support + by_asked.T @ queries - pulls[:, None] * weights) / temperature


def entropy(shares: np.ndarray, alpha: float) -> np.ndarray:
    """The alpha-entropy (...) of probabilities (..., n_way)."""
    if alpha == 1:
        return -(shares * np.log(np.maximum(shares, np.finfo(np.float64).tiny))).sum(axis=-1)
    return (1 - (shares**alpha).sum(axis=-1)) / (alpha - 1)


def _slope(shares: np.ndarray, alpha: float) -> np.ndarray:
    """The derivative of the alpha-entropy by each share, but for a constant, which no softmax passes on."""
    if alpha == 1:
        return -np.log(np.maximum(shares, np.finfo(np.float64).tiny))
    return -alpha / (alpha - 1) * shares ** (alpha - 1)


def _probabilities(rows: np.ndarray, weights: np.ndarray, temperature: float) -> np.ndarray:
    """(n, n_way) by squared distance; the length of a row is the same for all classes and left out."""
    return softmax((rows @ weights.T - (weights**2).sum(axis=1) / 2) / temperature)
