"""Confidence intervals of a mean over episodes, and what tests of a mean share with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        n: the number of independent values behind it.
        method: how the interval was found.
    """

    mean: float
    low: float
    high: float
    n: int
    method: Literal["t", "wilson", "text jackknife", "identical", "corrected t", "bootstrap"]

    @property
    def half_width(self) -> float:
        """How far the interval reaches to either side, on average."""
        return (self.high - self.low) / 2

    @property
    def is_identical(self) -> bool:
        """Whether it is that of two learners which scored the same on every query."""
        return self.method == "identical"

    def __neg__(self) -> Interval:
        """The interval of b - a, where this one is of a - b."""
        return replace(self, mean=-self.mean, low=-self.high, high=-self.low)

    def within(self, bounds: tuple[float, float]) -> Interval:
        """The same interval without what lies outside of `bounds`."""
        return replace(self, low=max(self.low, bounds[0]), high=min(self.high, bounds[1]))

    def around(self, other: Interval) -> Interval:
        """The same interval, widened so that it holds all of `other`."""
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))


#: What a score, and what a difference of two scores, can be.
SCORES, DIFFERENCES = (0.0, 1.0), (-1.0, 1.0)

#: Values closer than this are alike: scores come from sums of fractions, which rounding parts.
ROUNDING = 1e-12


def score_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """The mean of per-episode scores with an interval for episodes drawn from the same pool.

    Student's t over episodes. Where the sample shows no spread (a single episode, or all alike) t would claim
    certainty; Wilson's interval for a proportion over the same number of episodes stands in. It is on the safe side: no
    score between 0 and 1 with mean p varies more than a proportion, whose variance is p (1 - p).

    Args:
        values: one score from 0 to 1 per episode.
        level: confidence level.

    Raises:
        ValueError: there are no values, or one lies outside of 0 and 1.
    """
    if not all(0.0 <= value <= 1.0 for value in values):
        raise ValueError("scores lie between 0 and 1")
    if len(values) < 2 or math.isclose(min(values), max(values), abs_tol=ROUNDING):
        return wilson_interval(math.fsum(values), len(values), level)
    return t_interval(values, level).within(SCORES)


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of a mean.

    Raises:
        ValueError: fewer than two values, which have no spread to go by.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        raise ValueError("a t interval needs at least two values")
    mean = math.fsum(values) / n
    margin = float(stdtrit(n - 1, (1 + level) / 2) * np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - margin, mean + margin, n, "t")


def wilson_interval(successes: float, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion; it never leaves [0, 1] and is sound at 0, at 1 and for small n.

    Args:
        successes: how many of the `n`; a sum of fractions is allowed.

    Raises:
        ValueError: `n` is 0.
    """
    from scipy.special import ndtri

    if n < 1:
        raise ValueError("an interval needs at least one value")
    z2 = float(ndtri((1 + level) / 2)) ** 2
    p = successes / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    margin = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Rounding must not part the mean from its interval at 0 and 1.
    return Interval(p, max(min(centre - margin, p), 0.0), min(max(centre + margin, p), 1.0), n, "wilson")


def logit_interval(mean: float, margin: float, n: int) -> Interval:
    """The interval of a mean in (0, 1) whose margin holds on the scale of its logit, where 0 and 1 are out of reach.

    Args:
        margin: on the scale of the mean, half the width of the interval that is symmetric.
        n: independent values; a mean of 0 or 1 counts as half a value from the end.
    """
    p = min(max(mean, 0.5 / n), 1 - 0.5 / n)
    reach, odds = math.exp(min(margin / (p * (1 - p)), 700.0)), p / (1 - p)
    low, high = odds / (odds + reach), odds * reach / (1 + odds * reach) if reach < math.inf else 1.0
    return Interval(mean, min(low, mean), max(high, mean), n, "text jackknife")


def bounded_interval(mean: float, n: int, bounds: tuple[float, float], level: float = 0.95) -> Interval:
    """An interval for the mean of `n` values of which nothing is known but their mean and their bounds.

    Wilson's, with `bounds` mapped to 0 and 1: no value within bounds varies more than one that takes only the two ends.
    """
    low, high = bounds
    found = wilson_interval(n * (mean - low) / (high - low), n, level)
    scale = high - low
    return Interval(mean, min(low + scale * found.low, mean), max(low + scale * found.high, mean), n, found.method)


def t_p_value(mean: float, error: float, n: int, n_effective: float | None = None, df: float | None = None) -> float:
    """Two-sided p-value of Student's t, in (0, 1].

    Args:
        error: standard error; where it is 0, the p-value is that of independent values which all have one sign.
        n_effective: how many independent values the `n` are worth, if less.
        df: degrees of freedom; None for n - 1.
    """
    from scipy.special import stdtr

    if abs(mean) <= ROUNDING:
        return 1.0
    p = 2 * float(stdtr(df or n - 1, -abs(mean) / error)) if error else 2.0 ** (1 - (n_effective or n))
    return as_p_value(p)


def as_p_value(p: float) -> float:
    """Within (0, 1]: what rounds to 0 is the smallest positive number, as no data make a hypothesis impossible."""
    return min(max(p, float(np.finfo(float).tiny)), 1.0)


def checked(values: ArrayLike, bounds: tuple[float, float]) -> NDArray[np.float64]:
    """The values as an array.

    Raises:
        ValueError: there are none, or one lies outside of `bounds`.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise ValueError("statistics need at least one value")
    if not ((array >= bounds[0] - ROUNDING) & (array <= bounds[1] + ROUNDING)).all():
        raise ValueError(f"values lie between {bounds[0]:g} and {bounds[1]:g}")
    return array
