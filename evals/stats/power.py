"""How many episodes, how many texts?"""

from __future__ import annotations

import math

from evals.stats.intervals import Interval


def detectable_difference(sd: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true difference that a two-sided paired t test of `n` episodes finds with probability `power`.

    Args:
        sd: standard deviation of the per-episode differences.
        n: episodes, at least 2.
    """
    from scipy.optimize import brentq

    _check(sd, power, alpha)
    if n < 2:
        raise ValueError("a t test needs at least two episodes")
    if sd == 0:
        return 0.0
    # In standard errors; with one degree of freedom the answer is about 36 at the usual levels.
    ceiling = 1.0
    while _power(ceiling, n, alpha) < power:
        ceiling *= 2
    found = brentq(lambda shift: _power(shift, n, alpha) - power, 0.0, ceiling)
    return float(found) * sd / math.sqrt(n)  # pyright: ignore[reportArgumentType]


def required_episodes(sd: float, delta: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """The fewest episodes with which a two-sided paired t test finds `delta` with probability `power`.

    Args:
        sd: standard deviation of the per-episode differences.
        delta: the difference to find, of either sign.

    Raises:
        ValueError: `delta` is 0, which no number of episodes finds.
    """
    _check(sd, power, alpha)
    if delta == 0:
        raise ValueError("no number of episodes finds a difference of 0")
    effect = abs(delta) / sd if sd else math.inf
    if math.isinf(effect):
        return 2
    high = 2
    while _power(effect * math.sqrt(high), high, alpha) < power:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        found = middle > 1 and _power(effect * math.sqrt(middle), middle, alpha) >= power
        low, high = (low, middle) if found else (middle, high)
    return high


def required_texts(interval: Interval, n_texts: int, width: float) -> int:
    """About how many labelled texts bring an interval to `width`, when its width falls with the root of their number.

    Args:
        interval: found on `n_texts` texts.
        width: wanted, from the lower to the upper end.
    """
    if width <= 0:
        raise ValueError("no number of texts gives an interval without width")
    return math.ceil(n_texts * ((interval.high - interval.low) / width) ** 2)


def _power(shift: float, n: int, alpha: float) -> float:
    """Probability that |t| passes its critical value when the truth lies `shift` standard errors from 0."""
    from scipy.special import nctdtr, stdtrit

    critical = stdtrit(n - 1, 1 - alpha / 2)
    return float(1 - nctdtr(n - 1, shift, critical) + nctdtr(n - 1, shift, -critical))


def _check(sd: float, power: float, alpha: float) -> None:
    if not (sd >= 0 and 0 < alpha < power < 1):
        raise ValueError(f"need sd >= 0 and 0 < alpha < power < 1, not sd={sd}, alpha={alpha}, power={power}")
