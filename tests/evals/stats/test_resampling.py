"""Nadeau & Bengio's correction by hand, and by simulating repeated cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import corrected_interval, corrected_test


def test_by_hand() -> None:
    """s^2 = 0.0025; 3 splits of 90 to 10 rows: error^2 = 0.0025 (1/3 + 1/9); t(2) at 97.5 % is 4.3027."""
    found = corrected_interval([0.75, 0.80, 0.85], n_train=90, n_test=10)
    margin = 4.302653 * (0.0025 * (1 / 3 + 1 / 9)) ** 0.5
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, 0.8 - margin, 0.8 + margin), abs=1e-6)
    assert found.method == "corrected t"


def test_p_value_is_where_the_interval_meets_zero() -> None:
    differences = [0.05, 0.10, 0.02, 0.08]
    p = corrected_test(differences, 80, 20)
    found = corrected_interval(differences, 80, 20, level=1 - p, bounds=(-1, 1))
    assert found.low == pytest.approx(0, abs=1e-9)


def test_without_spread() -> None:
    assert corrected_interval([1.0] * 10, 18, 2).n == 20
    assert corrected_interval([1.0], 18, 2).n == 2
    assert corrected_test([0.0] * 10, 18, 2) == 1.0
    assert corrected_test([0.1] * 10, 18, 2) == pytest.approx(2 ** (1 - 1 / (1 / 10 + 2 / 18)))


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_splits_have_rows(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="rows"):
        corrected_test([0.1, 0.2], *sizes)


def test_false_positives_of_repeated_cross_validation() -> None:
    """Two constant predictors of balanced labels; the plain t test over 50 splits of the same rows errs far oftener."""
    from scipy.stats import ttest_1samp

    random = np.random.RandomState(0)
    corrected, plain, n_samples = 0, 0, 300
    for _ in range(n_samples):
        # The labels say which of the two is right.
        differences = random.choice((-1.0, 1.0), 40)
        splits = [random.permutation(40).reshape(5, 8) for _ in range(10)]
        values = [differences[fold].mean() for folds in splits for fold in folds]
        corrected += corrected_test(values, 32, 8) <= 0.05
        plain += ttest_1samp(values, 0).pvalue <= 0.05
    assert corrected / n_samples <= 0.08
    assert plain / n_samples > 0.2


@given(st.lists(st.integers(-10, 10).map(lambda value: value / 10), min_size=1, max_size=20))
def test_invariants(values: list[float]) -> None:
    found, p = corrected_interval(values, 16, 4, bounds=(-1, 1)), corrected_test(values, 16, 4)
    assert -1 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1
    assert 0 < p <= 1
    assert corrected_test(values[::-1], 16, 4) == pytest.approx(p)
