"""From how many shots on does the answer flip?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.intervals import ROUNDING
from fewshot.core.seeds import random_state

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where the lead passes from one learner to the other.

    Attributes:
        shot: the K of the last change, interpolated on log2 K.
        low, high: 95 % of the draws in which the lead passes the same way have their last change within.
        share: of all draws, those in which it does; the interval speaks of these only.
        leads_after: `a` or `b`, whoever leads at the largest K.
        earlier: changes before the last one, ascending.
    """

    shot: float
    low: float
    high: float
    share: float
    leads_after: str
    earlier: tuple[float, ...] = ()


def crossover(
    shots: Sequence[int], differences: ArrayLike, covariance: ArrayLike, *, n_resamples: int = 2000, seed: int = 0
) -> Crossover | None:
    """The number of shots at which the better mean changes hands, with an interval from draws of the mean differences.

    Args:
        shots: ascending, at least 1, (n_shots,).
        differences: mean scores of `a` less those of `b`, (n_shots,).
        covariance: of those means, (n_shots, n_shots); it decides of what the interval speaks.

    Returns:
        None where one learner leads, or neither does, at every K.

    Raises:
        ValueError: shots that do not ascend from 1 on, or arrays of other shapes.
    """
    if not shots or shots[0] < 1 or any(low >= high for low, high in pairwise(shots)):
        raise ValueError(f"shots ascend from 1 on, not {list(shots)}")
    observed, spread = np.asarray(differences, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if observed.shape != (len(shots),) or spread.shape != (len(shots), len(shots)):
        raise ValueError(f"{len(shots)} shots need as many means, not {observed.shape} and {spread.shape}")
    scale = np.log2(shots)
    found = _changes(scale, observed)
    if not found:
        return None
    *earlier, last = found
    after = _leader(observed)
    random = random_state("crossover", seed)
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = observed + random.standard_normal((n_resamples, len(shots))) @ root.T
    changes = [found[-1] for means in drawn if _leader(means) == after and (found := _changes(scale, means))]
    low, high = np.quantile(changes, (0.025, 0.975)) if changes else (last, last)
    return Crossover(
        shot=2.0**last,
        # Skewed draws may all lie to one side of the estimate, which its interval must hold.
        low=2.0 ** min(float(low), last),
        high=2.0 ** max(float(high), last),
        share=len(changes) / n_resamples,
        leads_after="a" if after > 0 else "b",
        earlier=tuple(2.0**change for change in earlier),
    )


def _leader(differences: Floats) -> float:
    """Who leads at the most shots at which anybody does: the sign of the difference."""
    led = differences[np.abs(differences) > ROUNDING]
    return float(np.sign(led[-1])) if led.size else 0.0


def _changes(scale: Floats, differences: Floats) -> list[float]:
    """Where a line through the differences changes sign; shots at which both are level change nothing by themselves."""
    led = np.flatnonzero(np.abs(differences) > ROUNDING)
    found = []
    for before, after in pairwise(led):
        if (differences[before] > 0) == (differences[after] > 0):
            continue
        if after > before + 1:
            found.append(float(scale[before + 1 : after].mean()))
        else:
            part = differences[before] / (differences[before] - differences[after])
            found.append(float(scale[before] + part * (scale[after] - scale[before])))
    return found
