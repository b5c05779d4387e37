"""A linear probe: logistic regression on the vectors of a frozen encoder, fitted on the support of each problem.

Chen et al., ICLR 2019, arXiv 1904.04232 ("Baseline"), and Tian et al., ECCV 2020, arXiv 2003.11539, who find it level
with meta-learners on good features.

Traps: vectors have length 1, so the usual C=1 regularises far too much; one shot per class leaves d weights per class
to a single text, and then the probe is a nearest-neighbour rule in disguise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from classic.learners.base import FrozenLearner
from evals.learner import Context
from evals.types import Problem
from fewshot.core.errors import UsageError
from fewshot.encoders.prototypes import log_softmax

#: Where the gradient of the mean loss is this small, log-probabilities move by less than 1e-4.
_TOLERANCE = 1e-8


@dataclass(eq=False, kw_only=True)
class Probe(FrozenLearner):
    """Logistic regression on frozen vectors.

    Attributes:
        c: inverse strength of the L2 penalty, scikit-learn's C.
    """

    name = "probe"
    c: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.c < float("inf"):
            raise UsageError(f"c={self.c}: the inverse strength of the penalty is a number above 0")

    def _log_probabilities(self, problems: Sequence[Problem], ctx: Context) -> Iterable[np.ndarray]:
        with _one_thread():
            return list(super()._log_probabilities(problems, ctx))

    def _solve(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        return logistic_regression(support, classes, queries, n_way, self.c)


def logistic_regression(
    support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int, c: float
) -> np.ndarray:
    """Fit on the support, score the queries.

    Args:
        support: (n_support, d). classes: (n_support,) integers in [0, n_way).
        queries: (n_query, d).
        c: inverse strength of the L2 penalty.

    Returns:
        (n_query, n_way) log-probabilities; a class without support has the least there is.
    """
    present, known = np.unique(classes, return_inverse=True)
    scores = np.full((len(queries), n_way), -1e9)
    if len(present) == 1:
        scores[:, present] = 0.0
        return scores
    # The weights lie in the span of the support: fitting in its coordinates, n_support instead of d, gives the same.
    span, coordinates = np.linalg.qr(support.astype(np.float64).T)
    weights = _fitted(_with_one(coordinates.T), known, len(present), c)
    scores[:, present] = _scored(_with_one(queries @ span), weights)
    return scores


def _fitted(rows: np.ndarray, classes: np.ndarray, n_way: int, c: float) -> np.ndarray:
    """The weights (d, n_way), or (d, 1) for two classes, that minimise c * the sum of the losses + |weights|^2 / 2.

    The objective is scikit-learn's, the binomial one for two classes included; the last weights, of the column of ones,
    are not penalised.

    Args:
        rows: (n, d), whose last column is 1.
    """
    from scipy.optimize import minimize

    n, d = rows.shape
    columns = 1 if n_way == 2 else n_way
    gold = np.eye(n_way)[classes]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(d, columns)
        penalised = weights * np.append(np.ones(d - 1), 0)[:, None] / (c * n)
        scores = _scored(rows, weights)
        gradient = rows.T @ (np.exp(scores) - gold)[:, -columns:] / n + penalised
        return (penalised * weights).sum() / 2 - (gold * scores).sum() / n, gradient.ravel()

    limits = {"maxiter": 1000, "maxls": 50, "gtol": _TOLERANCE, "ftol": np.finfo(np.float64).eps}
    return minimize(loss, np.zeros(d * columns), jac=True, method="L-BFGS-B", options=limits).x.reshape(d, columns)


def _scored(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n, n_way) log-probabilities. Of two classes the first has the logit 0."""
    logits = rows @ weights
    return log_softmax(np.insert(logits, 0, 0.0, axis=1) if logits.shape[1] == 1 else logits)


def _with_one(rows: np.ndarray) -> np.ndarray:
    """The rows with a last column of ones, for the intercept."""
    return np.column_stack([rows, np.ones(len(rows))])


def _one_thread() -> AbstractContextManager[Any]:
    """A small matrix is finished before a second thread has woken up: threads make these fits 20 times slower."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")
