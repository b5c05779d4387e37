"""Crossovers that can be read off by hand, and how often the interval holds the true one."""

from __future__ import annotations

import numpy as np
import pytest

from evals.stats import crossover


def curve(differences: list[float], error: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Mean differences and their covariance, independent between shots."""
    return np.array(differences), error**2 * np.eye(len(differences))


@pytest.mark.parametrize(
    ("differences", "shot", "earlier"),
    [
        ([0.2, 0.1, -0.1, -0.2], 2**1.5, ()),
        ([-0.3, 0.1, 0.1, 0.1], 2**0.75, ()),
        ([0.1, 0.0, -0.1, -0.1], 2.0, ()),
        ([0.1, 0.0, 0.0, -0.1], 2**1.5, ()),
        ([0.1, -0.1, 0.1, 0.1], 2**1.5, (2**0.5,)),
    ],
    ids=["halfway on log2 K", "nearer to the smaller difference", "level at one K", "level over a stretch", "twice"],
)
def test_interpolated(differences: list[float], shot: float, earlier: tuple[float, ...]) -> None:
    found = crossover((1, 2, 4, 8), *curve(differences))
    assert found is not None
    assert found.shot == pytest.approx(shot)
    assert found.earlier == pytest.approx(earlier)
    assert (found.low, found.high, found.share) == pytest.approx((shot, shot, 1.0))
    assert found.leads_after == ("a" if differences[-1] > 0 else "b")


@pytest.mark.parametrize("differences", [[0.1, 0.2], [-0.1, -0.1], [0.0, 0.1], [0.0, 0.0], [0.1, 0.0]])
def test_one_leads_everywhere(differences: list[float]) -> None:
    assert crossover((1, 5), *curve(differences)) is None


def test_a_doubtful_crossover_is_seen_in_some_draws_only() -> None:
    """b is ahead by 1 point at 4 shots, with a standard error of 1.56 points: 74 % of a normal curve."""
    found = crossover((1, 4), np.array([0.2, -0.01]), np.diag([0.0, 0.0156**2]))
    assert found is not None
    assert found.share == pytest.approx(0.74, abs=0.04)


def test_errors_that_go_together_leave_a_steep_crossover_where_it_is() -> None:
    differences = np.array([0.2, -0.2])
    alone, together = (crossover((1, 4), differences, 0.002 * shape) for shape in (np.eye(2), np.ones((2, 2))))
    assert alone is not None
    assert together is not None
    assert together.low <= alone.low < alone.high <= together.high


def test_interval_holds_the_true_crossover_in_95_percent() -> None:
    random, true = np.random.RandomState(0), np.array([0.3, 0.1, -0.1, -0.3])
    hits = 0
    for seed in range(200):
        found = crossover((1, 2, 4, 8), *curve(true + 0.03 * random.randn(4), 0.03), n_resamples=300, seed=seed)
        assert found is not None
        assert found.low <= found.shot <= found.high
        hits += found.low <= 2**1.5 <= found.high
    assert 0.9 <= hits / 200 <= 0.985


@pytest.mark.parametrize(
    ("shots", "n_means", "n_covariance"),
    [((2, 1), 2, 2), ((0, 1), 2, 2), ((1, 2), 3, 2), ((), 0, 0), ((1, 2), 2, 3)],
)
def test_what_is_no_curve_is_refused(shots: tuple[int, ...], n_means: int, n_covariance: int) -> None:
    with pytest.raises(ValueError, match="shots"):
        crossover(shots, np.zeros(n_means), np.zeros((n_covariance, n_covariance)))
