"""From how many shots on does the answer flip?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.bootstrap import multiplicities
from evals.stats.intervals import ROUNDING
from fewshot.core.seeds import random_state

Floats = NDArray[np.float64]

#: Resamples at a time.
_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Crossover:
    """Where the lead passes from one learner to the other.

    Attributes:
        shot: the K of the last change, interpolated on log2 K.
        low, high: 95 % of the resamples in which the lead passes the same way have their last change within.
        share: of all resamples, those in which it does; the interval speaks of these only.
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
    shots: Sequence[int], a: ArrayLike, b: ArrayLike, *, n_resamples: int = 2000, seed: int = 0
) -> Crossover | None:
    """The number of shots at which the better mean changes hands, with a bootstrap interval over episodes.

    Args:
        shots: ascending, at least 1, (n_shots,).
        a, b: scores of the two learners on the same episodes, (n_episodes, n_shots).

    Returns:
        None where one learner leads, or neither does, at every K.

    Raises:
        ValueError: shots that do not ascend from 1 on, or tables of other shapes.
    """
    if not shots or shots[0] < 1 or any(low >= high for low, high in pairwise(shots)):
        raise ValueError(f"shots ascend from 1 on, not {list(shots)}")
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if differences.ndim != 2 or not len(differences) or differences.shape[1] != len(shots):
        raise ValueError(f"scores are a table of episodes x {len(shots)} shots, not {differences.shape}")
    scale = np.log2(shots)
    observed = differences.mean(axis=0)
    found = _changes(scale, observed)
    if not found:
        return None
    *earlier, last = found
    after = _leader(observed)
    resampled = [means for means in _resampled_means(differences, n_resamples, seed) if _leader(means) == after]
    changes = [found[-1] for means in resampled if (found := _changes(scale, means))]
    low, high = np.quantile(changes, (0.025, 0.975)) if changes else (last, last)
    return Crossover(
        shot=2.0**last,
        # Skewed resamples may all lie to one side of the estimate, which its interval must hold.
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


def _resampled_means(differences: Floats, n_resamples: int, seed: int) -> Floats:
    """Means over resampled episodes, (n_resamples, n_shots)."""
    random = random_state("crossover", seed)
    n = len(differences)
    sizes = [min(_CHUNK, n_resamples - start) for start in range(0, n_resamples, _CHUNK)]
    return np.concatenate([multiplicities(random, n, size).T @ differences / n for size in sizes])
