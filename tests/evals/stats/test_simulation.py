"""The simulated comparison has the null hypothesis it claims, and shows what it is there to show."""

from __future__ import annotations

import numpy as np
import pytest

from evals.stats.simulation import Protocol, draw, false_positive_rates


def test_learners_are_equal_on_the_very_pool() -> None:
    protocol = Protocol(most=20_000)
    a, b, texts = draw(20, "pool", protocol, np.random.RandomState(0))
    differences = a - b
    assert differences.shape == texts.shape == (20_000, 10)
    assert differences.mean() == pytest.approx(0, abs=4 * 0.7 / 200_000**0.5)
    assert all(len(set(row)) == 10 for row in texts[:50].tolist())


def test_learners_are_equal_over_pools_but_not_on_each() -> None:
    protocol = Protocol(most=500)
    drawn = [draw(20, "population", protocol, np.random.RandomState(seed)) for seed in range(200)]
    means = [(a - b).mean() for a, b, _ in drawn]
    assert np.mean(means) == pytest.approx(0, abs=4 * 0.04 / 200**0.5)
    assert np.std(means) > 0.03


def test_rates_show_what_each_test_speaks_of() -> None:
    protocol = Protocol(most=200)
    pool, population = (false_positive_rates(20, null, 80, protocol) for null in ("pool", "population"))
    assert pool["sign flip", "fixed"].mean <= 0.12
    assert population["sign flip", "fixed"].low > 0.1
    assert population["jackknife", "fixed"].mean <= 0.14
    assert pool["sign flip", "until significant"].mean >= pool["sign flip", "fixed"].mean
    assert false_positive_rates(20, "pool", 80, protocol) == pool
