"""More than two learners: corrected p-values, letters for a table, ranks over tasks."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.intervals import as_p_value


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): rejecting those below alpha errs once with at most alpha."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def significance_letters(means: Sequence[float], p_values: ArrayLike, alpha: float = 0.05) -> list[str]:
    """A compact letter display: learners that share a letter do not differ significantly; `a` is with the best.

    Piepho (2004), "An algorithm for a letter-based representation of all-pairwise comparisons": a letter starts with
    every learner; a significant pair splits each letter that both have; a letter within another says nothing.

    Args:
        means: (n_learners,); higher is better.
        p_values: of the pairs, already corrected for their number, (n_learners, n_learners); only those above the
            diagonal are read.

    Returns:
        The letters of each learner, in the order of `means`.

    Raises:
        ValueError: more letters are needed than there are.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = sorted(range(len(means)), key=lambda at: -means[at])
    columns = [frozenset(order)] if order else []
    for first, second in zip(*np.triu_indices(len(means), 1), strict=True):
        if p[first, second] >= alpha:
            continue
        pair = {int(first), int(second)}
        split = {column - {one} for column in columns for one in pair if pair <= column}
        split |= {column for column in columns if not pair <= column}
        columns = [column for column in split if not any(column < other for other in split)]
    if len(columns) > len(string.ascii_letters):
        raise ValueError(f"{len(columns)} letters are needed; there are {len(string.ascii_letters)}")
    rank = {learner: at for at, learner in enumerate(order)}
    columns.sort(key=lambda column: sorted(rank[learner] for learner in column))
    lettered = list(zip(string.ascii_letters, columns, strict=False))
    return ["".join(letter for letter, column in lettered if learner in column) for learner in range(len(means))]


@dataclass(frozen=True, slots=True)
class RankTable:
    """Learners ranked on many tasks.

    Attributes:
        mean_ranks: per learner, 1 is best.
        p: of Friedman's test, that all learners rank alike.
        critical_difference: mean ranks further apart than this differ significantly (Nemenyi).
    """

    mean_ranks: tuple[float, ...]
    p: float
    critical_difference: float
    n_tasks: int


def friedman_ranks(scores: ArrayLike, alpha: float = 0.05) -> RankTable:
    """Mean ranks over tasks, Friedman's test and Nemenyi's critical difference.

    Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", JMLR 7. Learners that tie on a task
    share the mean of their ranks.

    Args:
        scores: (n_tasks, n_learners); higher is better.
        alpha: the level of the critical difference.

    Raises:
        ValueError: no task, or fewer than two learners.
    """
    from scipy.special import chdtrc
    from scipy.stats import rankdata, studentized_range

    array = np.asarray(scores, dtype=np.float64).round(12)
    if array.ndim != 2 or not len(array) or array.shape[1] < 2:
        raise ValueError(f"ranks need a table of tasks x at least two learners, not {array.shape}")
    n, k = array.shape
    ranks = rankdata(-array, axis=1)
    means = ranks.mean(axis=0)
    # Between over within: without ties this is Friedman's 12 n / (k (k + 1)) x the spread of the mean ranks.
    within = ((ranks - (k + 1) / 2) ** 2).sum() / (n * (k - 1))
    chi2 = n * ((means - (k + 1) / 2) ** 2).sum() / within if within else 0.0
    p = as_p_value(float(chdtrc(k - 1, chi2)))
    quantile = float(studentized_range.ppf(1 - alpha, k, np.inf)) / 2**0.5
    return RankTable(tuple(means.tolist()), p, quantile * (k * (k + 1) / (6 * n)) ** 0.5, n)
