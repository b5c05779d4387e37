"""Paired tests against enumeration, SciPy and known values."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import effect_size, mcnemar_exact, paired_difference, sign_flip_test, sign_flip_tests, wilcoxon_test

differences = st.lists(st.integers(-25, 25).map(lambda value: value / 25), min_size=1, max_size=40)


def test_paired_difference_equals_scipy() -> None:
    from scipy.stats import ttest_rel

    a, b = np.random.RandomState(0).random_sample((2, 30))
    found, expected = paired_difference(a, b), ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.method == "t"


@pytest.mark.parametrize(("a", "b"), [([0.5] * 9, [0.5] * 9), ([0.9] * 3, [0.4] * 3), ([1.0], [0.0])])
def test_paired_difference_without_spread(a: list[float], b: list[float]) -> None:
    found = paired_difference(a, b)
    assert found.method == "wilson"
    assert -1 <= found.low < found.mean <= found.high <= 1


def test_pairs_must_match() -> None:
    with pytest.raises(ValueError, match="pairs"):
        paired_difference([0.5], [0.5, 0.6])
    with pytest.raises(ValueError, match="pairs"):
        mcnemar_exact([True], [True, False])


@given(st.lists(st.integers(-10, 10).map(lambda value: value / 10), min_size=1, max_size=8))
def test_few_sign_flips_are_enumerated(values: list[float]) -> None:
    sums = np.abs([np.dot(signs, values) for signs in product((1, -1), repeat=len(values))])
    expected = np.mean(sums >= abs(sum(values)) - 1e-9)
    assert sign_flip_test(values) == pytest.approx(expected)


@pytest.mark.parametrize("grid", [True, False], ids=["scores on a grid", "all sizes differ"])
def test_many_sign_flips_equal_scipy(grid: bool) -> None:
    from scipy.stats import permutation_test

    random = np.random.RandomState(3)
    values = random.randint(-3, 5, 200) / 25 if grid else random.uniform(-0.9, 1, 200)
    expected = permutation_test(
        (values,), np.mean, vectorized=True, permutation_type="samples", n_resamples=20_000, rng=0
    ).pvalue
    assert sign_flip_test(values, n_resamples=40_000) == pytest.approx(expected, abs=0.015)


def test_a_monte_carlo_p_is_never_zero() -> None:
    assert sign_flip_test([0.5] * 100, n_resamples=999) == 1 / 1000


def test_sign_flips_err_in_5_percent() -> None:
    random = np.random.RandomState(0)
    samples = random.binomial(25, 0.7, size=(400, 30)) / 25 - random.binomial(25, 0.7, size=(400, 30)) / 25
    rejected = np.mean([sign_flip_test(sample, n_resamples=199, seed=at) <= 0.05 for at, sample in enumerate(samples)])
    assert 0.03 <= rejected <= 0.07


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (5, 0), (1, 9), (12, 10), (0, 3000)])
def test_mcnemar_is_a_binomial_test_of_the_queries_on_which_one_is_right(only_a: int, only_b: int) -> None:
    from scipy.stats import binomtest

    a = [True] * only_a + [False] * only_b + [True, False] * 4
    b = [False] * only_a + [True] * only_b + [True, False] * 4
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar_exact(a, b) == pytest.approx(expected)
    assert mcnemar_exact(b, a) > 0


def test_wilcoxon_of_six_that_all_lean_to_one_side() -> None:
    assert wilcoxon_test([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(2 / 2**6)
    assert wilcoxon_test([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0, 0.0]) == pytest.approx(2 / 2**6)
    assert wilcoxon_test([0.0, 0.0]) == 1.0


@pytest.mark.parametrize("n", [9, 30, 200])
@pytest.mark.parametrize("ties", [True, False], ids=["ties", "no ties"])
def test_wilcoxon_equals_scipy(n: int, ties: bool) -> None:
    from scipy.stats import wilcoxon

    random = np.random.RandomState(n)
    values = random.choice([-0.2, -0.1, 0.1, 0.2, 0.3], n) if ties else random.uniform(-0.8, 1, n)
    expected = wilcoxon(values)
    assert wilcoxon_test(values) == pytest.approx(expected.pvalue)


def test_effect_size_by_hand() -> None:
    assert effect_size([0.1, 0.2, 0.3]) == pytest.approx(2.0)
    assert effect_size([0.0] * 5) == 0.0
    assert effect_size([0.3] * 8) == pytest.approx(8 / 3)
    assert effect_size([-0.3]) == pytest.approx(-(0.5**0.5))


@pytest.mark.parametrize("values", [[], [1.5], [float("nan")]], ids=["empty", "out of range", "nan"])
@pytest.mark.parametrize("function", [sign_flip_test, wilcoxon_test, effect_size])
def test_what_are_no_differences_is_refused(function: object, values: list[float]) -> None:
    with pytest.raises(ValueError, match="value"):
        function(values)  # type: ignore[operator]


@given(differences, st.randoms(use_true_random=False))
def test_invariants(values: list[float], random: object) -> None:
    tests = (lambda of: sign_flip_test(of, n_resamples=99), wilcoxon_test)
    found = [test(values) for test in tests]
    assert all(0 < p <= 1 for p in found)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [test(shuffled) for test in tests] == pytest.approx(found)
    assert [test([-value for value in values]) for test in tests] == pytest.approx(found)
    assert effect_size(shuffled) == pytest.approx(effect_size(values))
    interval = paired_difference(np.maximum(values, 0), np.maximum(np.negative(values), 0))
    assert interval.low - 1e-12 <= interval.mean <= interval.high + 1e-12


def test_many_columns_at_once_are_tested_like_each_alone() -> None:
    random = np.random.RandomState(0)
    columns = np.round(random.uniform(-0.4, 0.5, (60, 4)), 1)
    columns[:, 3] = 0
    columns[12:, 2] = 0
    found = sign_flip_tests(columns, n_resamples=20_000)
    alone = [sign_flip_test(column, n_resamples=20_000) for column in columns.T]
    assert found[2:] == alone[2:]
    assert found[:2] == pytest.approx(alone[:2], abs=0.015)
