"""A linear probe: logistic regression on the vectors of a frozen encoder, fitted on the support of each problem.

Chen et al., ICLR 2019, arXiv 1904.04232 ("Baseline"), and Tian et al., ECCV 2020, arXiv 2003.11539, who find it level
with meta-learners on good features.

Traps: vectors have length 1, so the usual C=1 regularises far too much; one shot per class leaves d weights per class
to a single text, and then the probe is a nearest-neighbour rule in disguise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        for problem in problems:
            task = index_problem(problem, table)
            support, queries = table.gather(task.support), table.gather(task.query)
            yield logistic_regression(support, task.support_y, queries, task.way, self.c)


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
    model = LogisticRegression(C=c, max_iter=1000).fit(support.cpu().numpy(), classes)
    scores[:, present] = model.predict_log_proba(queries.cpu().numpy())
    return scores
