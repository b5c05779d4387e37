"""Repeated splits of one small data set: training sets overlap, so their scores vary less than truth does.

Nadeau & Bengio (2003), "Inference for the generalization error", Machine Learning 52: the variance of the mean over J
splits is s^2 (1 / J + n_test / n_train), not s^2 / J.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.intervals import DIFFERENCES, ROUNDING, SCORES, Interval, bounded_interval, checked, t_p_value


def corrected_interval(
    values: ArrayLike,
    n_train: int,
    n_test: int,
    level: float = 0.95,
    bounds: tuple[float, float] = SCORES,
) -> Interval:
    """The mean over splits with an interval for other samples of the same size.

    Args:
        values: a score, or a difference of two, per split, (n_splits,).
        n_train, n_test: rows of a split.
        level: confidence level.
        bounds: the smallest and largest possible value; (-1, 1) for differences of scores.

    Returns:
        An interval within `bounds`. Where the splits show no spread, or there is one: Wilson's for as many values as
        rows can have been tested.
    """
    from scipy.special import stdtrit

    array = checked(values, bounds)
    mean, error = float(array.mean()), _error(array, n_train, n_test)
    if not error:
        return bounded_interval(mean, min(array.size * n_test, n_train + n_test), bounds, level)
    margin = float(stdtrit(array.size - 1, (1 + level) / 2)) * error
    return Interval(mean, mean - margin, mean + margin, array.size, "corrected t").within(bounds)


def corrected_test(differences: ArrayLike, n_train: int, n_test: int) -> float:
    """p-value of no difference between two learners over the same splits; two-sided, in (0, 1].

    Args:
        differences: per split, (n_splits,).
        n_train, n_test: rows of a split.
    """
    array = checked(differences, DIFFERENCES)
    error = _error(array, n_train, n_test)
    return t_p_value(float(array.mean()), error, array.size, 1 / _inflation(array.size, n_train, n_test))


def _error(values: np.ndarray, n_train: int, n_test: int) -> float:
    """The corrected standard error; 0 where there is no spread."""
    if values.size < 2 or np.ptp(values) <= ROUNDING:
        return 0.0
    return float(np.var(values, ddof=1) * _inflation(values.size, n_train, n_test)) ** 0.5


def _inflation(n_splits: int, n_train: int, n_test: int) -> float:
    if n_train < 1 or n_test < 1:
        raise ValueError(f"a split needs rows to train and to test on, not {n_train} and {n_test}")
    return 1 / n_splits + n_test / n_train
