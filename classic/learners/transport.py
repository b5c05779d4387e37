"""Optimal transport: queries are brought to the classes at the least cost, and move the class means.

Hu et al., ICANN 2021, arXiv 2006.03806 (PT-MAP): the queries are shared out by entropic optimal transport (Sinkhorn,
Cuturi 2013), and class means go a part of the way to the means that this gives, again and again. The paper tells the
transport how many queries each class has. Here nobody does: every query is shared out whole, and how far the classes
may be from equally frequent is a penalty, `balance` times a Kullback-Leibler divergence (Chizat et al. 2018,
arXiv 1607.05816), by the library POT:

    min <z, 1 - cos> + temperature * KL(z | uniform) + balance * KL(sum_q z_q | uniform)     with sum_c z_qc = 1 / n

As balance goes to 0 the shares become those of soft k-means; "equal" tells it what the paper does. The paper's power
transform is left out: vectors of texts have entries below 0.

Traps: with a strong balance, queries of one frequent class are spread over others, and it gains only where all are
asked equally often. POT imports torch where it is installed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from classic.learners.transductive import (
    TransductiveLearner,
    means_with_queries,
    require_above_0,
    require_counts,
    unit,
)
from fewshot.core.errors import MissingExtra, UsageError

#: Of Sinkhorn, at most. A weak balance takes ten; where it is strong, means move before the last digits settle.
_ITERATIONS = 100


@dataclass(eq=False, kw_only=True)
class Transport(TransductiveLearner):
    """Class means refined by optimal transport of the queries.

    Attributes:
        balance: the price of classes that are not asked equally often, above 0; or "equal" where they are known to be.
        rate: the part of the way that means go in a step, above 0 and at most 1.
        steps: of the means.
    """

    name = "transport"
    extra = "transport"
    balance: float | Literal["equal"] = 0.01
    rate: float = 0.4
    steps: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.balance, str) and self.balance != "equal":
            raise UsageError(f"balance={self.balance}: a number above 0 is expected, or equal")
        require_above_0(rate=self.rate, **({} if isinstance(self.balance, str) else {"balance": self.balance}))
        if self.rate > 1:
            raise UsageError(f"rate={self.rate}: at most 1, the whole way, is expected")
        require_counts(steps=self.steps)

    def _assigned(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        means = means_with_queries(support, classes, queries, np.zeros((len(queries), n_way)))
        for _ in range(self.steps):
            shares = self._shares(queries, means)
            means = means + self.rate * (means_with_queries(support, classes, queries, shares) - means)
        return self._shares(queries, means)

    def _shares(self, queries: np.ndarray, means: np.ndarray) -> np.ndarray:
        """(n_query, n_way): the plan, with rows that sum to 1."""
        balance = float("inf") if isinstance(self.balance, str) else self.balance
        return transported(1 - queries @ unit(means).T, self.temperature, balance)


def transported(costs: np.ndarray, temperature: float, balance: float) -> np.ndarray:
    """Every row shared out among the columns at the least cost.

    Args:
        costs: (n, n_way). temperature: of the entropy, above 0.
        balance: of columns that are equally full, above 0 or inf.

    Returns:
        (n, n_way), rows sum to 1.

    Raises:
        MissingExtra: POT is not here.
    """
    n, n_way = costs.shape
    # What a whole row costs more changes no plan, and the least cost of 0 keeps exp(-cost / temperature) above 0.
    costs = costs - costs.min(axis=1, keepdims=True)
    solve = _library().sinkhorn_unbalanced
    with warnings.catch_warnings():
        # It warns where an underflow ends it; the plan of the step before is as good as there is.
        warnings.simplefilter("ignore")
        rows, columns, price = np.full(n, 1 / n), np.full(n_way, 1 / n_way), (float("inf"), balance)
        plan = solve(rows, columns, costs, temperature, price, numItermax=_ITERATIONS)
    # The last step fits the columns; rows are put right to the last digit.
    return plan / plan.sum(axis=1, keepdims=True)


def _library() -> Any:
    try:
        import ot
    except ImportError as error:
        raise MissingExtra("learner 'transport'", "transport") from error
    return ot
