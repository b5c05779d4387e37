"""F1 of everything that was found in all episodes together, with an interval for other episodes.

Each entity, or each label, counts the same, and no longer each text, as in seqeval and in micro-F1. Such a figure is no
mean over episodes, so the episodes are drawn again with replacement (Efron 1979): the percentile bootstrap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.intervals import ROUNDING, Interval, wilson_interval
from fewshot.core.seeds import random_state

_RESAMPLES = 2000


def pooled_f1(counts: ArrayLike, seed: int = 0, level: float = 0.95) -> Interval | None:
    """F1 over all episodes.

    Args:
        counts: (n_episodes, 3) items found, found wrongly, and missed.
        seed: of the resamples.

    Returns:
        The figure with its interval, which holds it; Wilson's over as many episodes where resamples do not differ. None
        where there was nothing to find and nothing was found.
    """
    array = np.asarray(counts, dtype=np.float64).reshape(-1, 3)
    n = len(array)
    if not array.sum():
        return None
    mean = float(_f1(array.sum(axis=0)))
    shares = random_state("pooled F1", seed).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES)
    values = _f1(shares @ array)
    if np.ptp(values) <= ROUNDING:
        return wilson_interval(mean * n, n, level)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, min(mean, float(low)), max(mean, float(high)), n, "bootstrap")


def _f1(counts: np.ndarray) -> np.ndarray:
    """(...,) of (..., 3) counts; 1 where there is nothing to find and nothing is found."""
    right, wrong, missed = np.moveaxis(counts, -1, 0)
    total = 2 * right + wrong + missed
    return np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0)
