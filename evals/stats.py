"""Confidence intervals of a mean over episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np


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
    method: Literal["t", "wilson"]


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
    if len(values) < 2 or math.isclose(min(values), max(values), abs_tol=1e-12):
        return wilson_interval(math.fsum(values), len(values), level)
    found = t_interval(values, level)
    return Interval(found.mean, max(found.low, 0.0), min(found.high, 1.0), found.n, found.method)


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
