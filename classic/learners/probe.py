"""A linear probe: logistic regression on the vectors of a frozen encoder, fitted on the support of each problem.

Chen et al., ICLR 2019, arXiv 1904.04232 ("Baseline"), and Tian et al., ECCV 2020, arXiv 2003.11539, who find it level
with meta-learners on good features.

Traps: vectors have length 1, so the usual C=1 regularises far too much; one shot per class leaves d weights per class
to a single text, and then the probe is a nearest-neighbour rule in disguise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classic.learners.base import TensorLearner
from classic.training.data import index_problem
from evals.learner import Context
from evals.types import Problem
from fewshot.core.errors import MissingExtra

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(eq=False, kw_only=True)
class Probe(TensorLearner):
    """Logistic regression on frozen vectors.

    Attributes:
        c: inverse strength of the L2 penalty, scikit-learn's C.
    """

    name = "probe"
    c: float = 100.0

    def _log_probabilities(self, problems: Sequence[Problem], ctx: Context) -> Iterable[np.ndarray]:
        table = self._table_for(ctx)
        tasks = [index_problem(problem, table) for problem in problems]
        with _one_thread():
            return [
                logistic_regression(
                    table.gather(task.support), task.support_y, table.gather(task.query), task.way, self.c
                )
                for task in tasks
            ]


def logistic_regression(support: Tensor, classes: np.ndarray, queries: Tensor, n_way: int, c: float) -> np.ndarray:
    """Fit on the support, score the queries.

    Args:
        support: (n_support, d). classes: (n_support,) integers in [0, n_way).
        queries: (n_query, d).
        c: inverse strength of the L2 penalty.

    Returns:
        (n_query, n_way) log-probabilities; a class without support has the least there is.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("logistic regression", "local") from error
    present = np.unique(classes)
    scores = np.full((len(queries), n_way), -1e9)
    if len(present) == 1:
        scores[:, present] = 0.0
        return scores
    # The weights lie in the span of the support: fitting in its coordinates, n_support instead of d, gives the same.
    span, coordinates = np.linalg.qr(support.cpu().double().numpy().T)
    model = LogisticRegression(C=c, max_iter=1000).fit(coordinates.T, classes)
    scores[:, present] = model.predict_log_proba(queries.cpu().double().numpy() @ span)
    return scores


@contextmanager
def _one_thread() -> Iterator[None]:
    """A matrix of 25 rows is finished before a second thread has woken up: threads make these fits 20 times slower."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtra("logistic regression", "local") from error
    with threadpool_limits(1):
        yield
