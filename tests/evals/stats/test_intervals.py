"""Intervals against SciPy, known values and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import score_interval, t_interval, wilson_interval
from evals.stats.intervals import DIFFERENCES, bounded_interval


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30).filter(lambda values: np.std(values) > 1e-6))
def test_t_interval_equals_scipy(values: list[float]) -> None:
    from scipy import stats

    found = t_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)


@pytest.mark.parametrize("successes", [0, 1, 5, 10])
def test_wilson_interval_equals_scipy(successes: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(successes, 10).proportion_ci(method="wilson")
    found = wilson_interval(successes, 10)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.promise(44)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_score_interval_holds_its_mean_and_stays_in_range(values: list[float]) -> None:
    found = score_interval(values)
    assert 0.0 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1.0
    assert found.n == len(values)


@pytest.mark.promise(44)
@pytest.mark.parametrize(
    ("values", "method"),
    [
        ([1.0] * 20, "wilson"),
        ([0.0] * 20, "wilson"),
        ([0.4], "wilson"),
        ([0.1 + 0.2, 0.3], "wilson"),
        ([0.4, 0.6], "t"),
    ],
    ids=["all right", "all wrong", "one episode", "alike but for rounding", "two episodes"],
)
def test_samples_without_spread_fall_back_to_wilson(values: list[float], method: str) -> None:
    found = score_interval(values)
    assert found.method == method
    assert found.low < found.high


@pytest.mark.parametrize("values", [[], [1.5], [float("nan")]], ids=["empty", "out of range", "nan"])
def test_what_is_no_sample_of_scores_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"scores|at least one"):
        score_interval(values)


@pytest.mark.parametrize("n_episodes", [10, 40])
def test_coverage_of_simulated_episodes(n_episodes: int) -> None:
    """Episode accuracies as they come: a difficulty per episode, then 25 queries."""
    random = np.random.RandomState(0)
    ability, n_runs = 0.7, 800
    hits = 0
    for _ in range(n_runs):
        difficulty = random.beta(14, 6, size=n_episodes)
        found = score_interval((random.binomial(25, difficulty) / 25).tolist())
        hits += found.low <= ability <= found.high
    assert 0.93 <= hits / n_runs <= 0.97


@given(st.floats(-1, 1), st.integers(1, 50))
def test_bounded_interval_holds_its_mean_and_stays_in_range(mean: float, n: int) -> None:
    found = bounded_interval(mean, n, DIFFERENCES)
    assert -1 - 1e-12 <= found.low <= mean <= found.high <= 1 + 1e-12


def test_bounded_interval_of_no_difference_is_wilson_at_one_half_stretched() -> None:
    found, half = bounded_interval(0.0, 10, DIFFERENCES), wilson_interval(5, 10)
    assert (found.low, found.high) == pytest.approx((2 * half.low - 1, 2 * half.high - 1))
