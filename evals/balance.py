"""How the queries of an episode are spread over its classes.

Equally, as most papers have it, which whoever knows it can make use of; or as Veilleux et al., NeurIPS 2021, arXiv
2204.11181, ask: in proportions drawn anew for every episode from a Dirichlet distribution, of alpha = 2 unless said
otherwise. The lower alpha, the more uneven; classes may go without a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.kinds import Kind, Pools
from fewshot.core.errors import TaskError, UsageError

EQUAL = "equal"
_NAME, _ALPHA = "dirichlet", 2.0
#: Texts of a class that are kept to be shown where the same rows are asked; half of them, where there are fewer.
_TO_SHOW = 20


@dataclass(frozen=True)
class Dirichlet:
    """Proportions of the classes among the queries, drawn with this concentration."""

    alpha: float

    def __str__(self) -> str:
        return f"{_NAME}:{self.alpha:g}"

    def counts(self, total: int, most: Sequence[int], random: np.random.RandomState) -> list[int]:
        """How many queries each class has.

        Args:
            total: in all. most: per class; together at least `total`. What goes beyond is left to the other classes.
        """
        shares = random.standard_gamma(self.alpha, len(most))
        if not shares.any():  # of a tiny alpha; all at one class is what it tends to
            shares[random.randint(len(most))] = 1.0
        return apportioned(total, shares, most)


def read_balance(text: str) -> Dirichlet | None:
    """What `equal`, `dirichlet` or `dirichlet:ALPHA` means; None for equally many queries per class.

    Raises:
        UsageError: it is none of these, or ALPHA is not a number above 0.
    """
    try:
        return _parsed(text)
    except ValueError as error:
        raise UsageError(f"--query-balance: {error}") from error


def written(text: str) -> str:
    """The same, as it is stored: `dirichlet` as `dirichlet:2`. Raises ValueError where `read_balance` raises."""
    return str(_parsed(text) or EQUAL)


def in_words(balance: str) -> str:
    """What to say of uneven queries after their number; nothing where every class is asked equally often."""
    return "" if balance == EQUAL else f", classes asked in proportions of {balance}"


def _parsed(text: str) -> Dirichlet | None:
    name, colon, given = text.partition(":")
    if text == EQUAL:
        return None
    if name != _NAME:
        raise ValueError(f"{text!r} is none of {EQUAL}, {_NAME} and {_NAME}:ALPHA")
    try:
        alpha = float(given) if colon else _ALPHA
    except ValueError:
        alpha = float("nan")
    if not 0 < alpha < float("inf"):
        raise ValueError(
            f"the concentration in {text!r} is to be a number above 0: {_ALPHA:g} is usual, lower is more uneven"
        )
    return Dirichlet(alpha)


def apportioned(total: int, shares: np.ndarray, most: Sequence[int]) -> list[int]:
    """Whole numbers in proportion to shares, by the largest remainder, none above its `most`."""
    limits, wanted = np.asarray(most, dtype=float), np.zeros(len(most))
    open_ = np.ones(len(most), dtype=bool)
    while open_.any():
        part = shares[open_] if shares[open_].any() else np.ones(open_.sum())
        wanted[open_] = (total - limits[~open_].sum()) * part / part.sum()
        beyond = open_ & (wanted > limits)
        if not beyond.any():
            break
        wanted[beyond] = limits[beyond]
        open_ &= ~beyond
    counts = np.floor(wanted + 1e-9).astype(int)
    largest = np.argsort(-(wanted - counts), kind="stable")[: total - counts.sum()]
    counts[largest] += 1
    return counts.tolist()


def most_queries(pools: Pools, name: str, way: int, query: int) -> int:
    """How many of the queries of an episode may be of one class. It does not depend on the shot, nor do the queries."""
    n = len(pools.query.by_label.get(name, ()))
    if pools.shared:
        n = max(query, n - min(_TO_SHOW, n // 2))
    return min(n, way * query)


def require_balance(
    balance: Dirichlet, kind: Kind, pools: Pools, names: Sequence[str], way: int, shot: int, query: int
) -> None:
    """Refuse data that cannot fill every such episode, where it could with equally many queries per class.

    Raises:
        UsageError: the kind of task has no such classes.
        TaskError: a class has too few texts.
    """
    if kind.name != "classification":
        raise UsageError(f"--query-balance {balance} is for tasks with one label per text; this is a {kind.name} task")
    for name in names:
        known, asked = len(pools.support.by_label.get(name, ())), most_queries(pools, name, way, query)
        if pools.shared and known < shot + asked:
            raise TaskError(
                f"class {name!r} has {known} texts, of which up to {asked} may be asked with --query-balance "
                f"{balance}, and {shot} are to be shown; lower --shot or --query"
            )
