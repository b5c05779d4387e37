"""Crossovers that can be read off by hand, and how often the interval holds the true one."""

from __future__ import annotations

import numpy as np
import pytest

from evals.stats import crossover


def curves(differences: list[float], noise: float = 0.0, n: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    b = np.full((n, len(differences)), 0.5)
    return b + differences + noise * np.random.RandomState(seed).randn(*b.shape), b


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
    found = crossover((1, 2, 4, 8), *curves(differences))
    assert found is not None
    assert found.shot == pytest.approx(shot)
    assert found.earlier == pytest.approx(earlier)
    assert (found.low, found.high, found.share) == pytest.approx((shot, shot, 1.0))
    assert found.leads_after == ("a" if differences[-1] > 0 else "b")


@pytest.mark.parametrize("differences", [[0.1, 0.2], [-0.1, -0.1], [0.0, 0.1], [0.0, 0.0], [0.1, 0.0]])
def test_one_leads_everywhere(differences: list[float]) -> None:
    assert crossover((1, 5), *curves(differences)) is None


def test_a_doubtful_crossover_is_seen_in_some_resamples_only() -> None:
    """b is ahead by 1 point at 4 shots, with a standard error of 1.56 points: 74 % of a normal curve."""
    a, b = curves([0.2, -0.01])
    a[::2, 1] += 0.11
    a[1::2, 1] -= 0.11
    found = crossover((1, 4), a, b)
    assert found is not None
    assert found.share == pytest.approx(0.74, abs=0.04)


def test_interval_holds_the_true_crossover_in_95_percent() -> None:
    hits = 0
    for seed in range(200):
        found = crossover((1, 2, 4, 8), *curves([0.3, 0.1, -0.1, -0.3], noise=0.2, seed=seed), n_resamples=300)
        assert found is not None
        assert found.low <= found.shot <= found.high
        hits += found.low <= 2**1.5 <= found.high
    assert 0.9 <= hits / 200 <= 0.985


@pytest.mark.parametrize(
    ("shots", "shape"), [((2, 1), (3, 2)), ((0, 1), (3, 2)), ((1, 2), (3, 3)), ((), (3, 0)), ((1, 2), (0, 2))]
)
def test_what_is_no_curve_is_refused(shots: tuple[int, ...], shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="shots"):
        crossover(shots, np.zeros(shape), np.zeros(shape))
