"""Two learners on the same episodes.

All of these speak of episodes from the same pool; for new texts see `evals.stats.bootstrap.cluster_test`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.intervals import (
    DIFFERENCES,
    ROUNDING,
    SCORES,
    Interval,
    as_p_value,
    bounded_interval,
    checked,
    t_interval,
)
from fewshot.core.seeds import random_state

Floats = NDArray[np.float64]

#: Up to so many differences every pattern of signs is tried.
_EXACT = 16
#: Signs drawn at a time.
_CHUNK = 5_000_000
#: Patterns of signs held in memory at a time, for many columns.
_SIGNS = 500


def paired_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """The mean of a - b with Student's t interval; Wilson's where the differences show no spread.

    Args:
        a, b: scores on the same episodes, (n_episodes,).

    Raises:
        ValueError: no scores, scores outside of 0 and 1, or not the same number of them.
    """
    first, second = checked(a, SCORES), checked(b, SCORES)
    if first.shape != second.shape:
        raise ValueError(f"paired scores come in pairs, not {first.size} and {second.size}")
    differences = first - second
    if np.ptp(differences) <= ROUNDING:
        return bounded_interval(float(differences.mean()), differences.size, DIFFERENCES, level)
    return t_interval(differences.tolist(), level).within(DIFFERENCES)


def sign_flip_test(differences: ArrayLike, *, n_resamples: int = 10_000, seed: int = 0) -> float:
    """p-value of the mean difference when either learner could as well have been the other; two-sided.

    Exact up to 16 differences that are not 0, otherwise Monte Carlo with the observed signs counted in, so that it is
    never 0: Phipson & Smyth (2010), "Permutation p-values should never be zero".

    Args:
        differences: per episode, (n_episodes,).

    Returns:
        A value in (0, 1].
    """
    values = checked(differences, DIFFERENCES)
    sizes = np.abs(values)
    sizes = sizes[sizes > ROUNDING]
    least = abs(float(values.sum())) - ROUNDING * values.size
    if least <= 0:
        return 1.0
    if sizes.size <= _EXACT:
        return _enumerated(sizes, least)
    sums = _random_sums(np.sort(sizes.round(12)), n_resamples, random_state("sign flips", seed))
    return (1 + int(np.count_nonzero(np.abs(sums) >= least))) / (n_resamples + 1)


def sign_flip_tests(columns: ArrayLike, *, n_resamples: int = 10_000, seed: int = 0) -> list[float]:
    """The p-values of `sign_flip_test` for many columns at once, under the same random signs.

    Args:
        columns: differences, (n_episodes, n_columns).
    """
    values = np.asarray(columns, dtype=np.float64)
    least = np.abs(values.sum(axis=0)) - ROUNDING * len(values)
    few = (np.abs(values) > ROUNDING).sum(axis=0) <= _EXACT
    exceeding = np.zeros(values.shape[1], dtype=np.int64)
    random = random_state("sign flips", seed)
    for start in range(0, n_resamples, _SIGNS):
        signs = 2.0 * random.randint(0, 2, (min(_SIGNS, n_resamples - start), len(values)), dtype=np.int8) - 1
        exceeding += np.count_nonzero(np.abs(signs @ values) >= least, axis=0)
    return [
        sign_flip_test(column) if exact or limit <= 0 else (1 + int(count)) / (n_resamples + 1)
        for column, exact, limit, count in zip(values.T, few, least, exceeding, strict=True)
    ]


def _enumerated(sizes: Floats, least: float) -> float:
    """The share of sums of `sizes` under all patterns of signs that are as large as `least`."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return float(np.mean(np.abs(sums) >= least))


def _random_sums(sizes: Floats, n_resamples: int, random: np.random.RandomState) -> Floats:
    """Sums of `sizes` under random signs, (n_resamples,)."""
    distinct, counts = np.unique(sizes, return_counts=True)
    if distinct.size < sizes.size / 8:
        # Scores over a few queries take few values: of m equal sizes, how many keep their sign is binomial.
        kept = random.binomial(counts, 0.5, size=(n_resamples, counts.size))
        return (2 * kept - counts) @ distinct
    width = -(-sizes.size // 8)
    sums = []
    for start in range(0, n_resamples, rows := max(1, _CHUNK // sizes.size)):
        n = min(rows, n_resamples - start)
        octets = np.frombuffer(random.bytes(n * width), dtype=np.uint8).reshape(n, width)
        kept = np.unpackbits(octets, axis=1, count=sizes.size)
        sums.append(2 * (kept @ sizes) - sizes.sum())
    return np.concatenate(sums)


def mcnemar_exact(a_correct: ArrayLike, b_correct: ArrayLike) -> float:
    """p-value of McNemar's exact test: do the queries on which only one is right lean to one side? Two-sided.

    Args:
        a_correct, b_correct: booleans for the same queries, (n_queries,).
    """
    from scipy.special import bdtr

    first, second = np.asarray(a_correct, dtype=bool), np.asarray(b_correct, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(f"paired answers come in pairs, not {first.size} and {second.size}")
    only_a, only_b = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    return as_p_value(2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def wilcoxon_test(differences: ArrayLike) -> float:
    """p-value of Wilcoxon's signed-rank test; two-sided, differences of 0 are left out.

    Exact up to 16 differences, ties or not; SciPy's beyond, where the normal curve is close.

    Args:
        differences: per episode or per task, (n,).
    """
    from scipy.stats import rankdata, wilcoxon

    # Ranks see ties only where rounding has not parted them.
    values = checked(differences, DIFFERENCES).round(12)
    values = values[values != 0]
    if not values.size:
        return 1.0
    if values.size <= _EXACT:
        ranks = rankdata(np.abs(values))
        return _enumerated(ranks, abs(float(np.sign(values) @ ranks)) - ROUNDING)
    return as_p_value(float(wilcoxon(values).pvalue))  # pyright: ignore[reportAttributeAccessIssue]


def effect_size(differences: ArrayLike) -> float:
    """Cohen's d for pairs (d_z): the mean difference in units of its standard deviation.

    Always finite: where the differences show no spread, it is that of the sample with one more difference, of 0.
    """
    values = checked(differences, DIFFERENCES)
    if np.ptp(values) <= ROUNDING:
        values = np.append(values, 0.0)
    if np.ptp(values) <= ROUNDING:
        return 0.0
    return float(values.mean() / values.std(ddof=1))
