"""Corrections, letters and ranks against published examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import friedman_ranks, holm, significance_letters

#: Demsar (2006), table 6: area under the curve of C4.5 and three variants on 14 data sets.
DEMSAR = [
    (0.763, 0.768, 0.771, 0.798),
    (0.599, 0.591, 0.590, 0.569),
    (0.954, 0.971, 0.968, 0.967),
    (0.628, 0.661, 0.654, 0.657),
    (0.882, 0.888, 0.886, 0.898),
    (0.936, 0.931, 0.916, 0.931),
    (0.661, 0.668, 0.609, 0.685),
    (0.583, 0.583, 0.563, 0.625),
    (0.775, 0.838, 0.866, 0.875),
    (1.000, 1.000, 1.000, 1.000),
    (0.940, 0.962, 0.965, 0.962),
    (0.619, 0.666, 0.614, 0.669),
    (0.972, 0.981, 0.9751, 0.975),  # the paper ranks these 2 and 3: they differ beyond the digits printed
    (0.957, 0.978, 0.946, 0.970),
]


def test_ranks_of_demsar() -> None:
    from scipy.stats import friedmanchisquare

    found = friedman_ranks(DEMSAR)
    assert found.mean_ranks == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert friedman_ranks(DEMSAR, alpha=0.1).critical_difference == pytest.approx(1.12, abs=0.005)
    assert found.p == pytest.approx(friedmanchisquare(*np.transpose(DEMSAR)).pvalue)


def test_ranks_of_learners_that_always_tie() -> None:
    found = friedman_ranks([[0.5, 0.5, 0.5]] * 4)
    assert (found.mean_ranks, found.p) == ((2.0, 2.0, 2.0), 1.0)


@pytest.mark.parametrize("scores", [[], [[0.5]], [0.5, 0.6]], ids=["none", "one learner", "no table"])
def test_ranks_need_tasks_and_learners(scores: list[object]) -> None:
    with pytest.raises(ValueError, match="ranks need"):
        friedman_ranks(scores)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
    ],
)
def test_holm(p_values: list[float], expected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(expected)


@given(st.lists(st.floats(1e-6, 1), max_size=12))
def test_holm_keeps_the_order_and_never_shrinks(p_values: list[float]) -> None:
    found = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, found, strict=True))
    assert [found[at] for at in np.argsort(p_values, kind="stable")] == sorted(found)


def pairs(n: int, different: set[tuple[int, int]]) -> np.ndarray:
    p = np.ones((n, n))
    for pair in different:
        p[pair] = p[pair[::-1]] = 0.001
    return p


@pytest.mark.parametrize(
    ("means", "different", "letters"),
    [
        ([0.9, 0.8, 0.7], set(), ["a", "a", "a"]),
        ([0.7, 0.8, 0.9], {(0, 1), (0, 2), (1, 2)}, ["c", "b", "a"]),
        ([0.9, 0.8, 0.7], {(0, 2)}, ["a", "ab", "b"]),
        ([0.9, 0.8, 0.7, 0.6], {(0, 2), (0, 3), (1, 3)}, ["a", "ab", "bc", "c"]),
        ([0.5], set(), ["a"]),
        ([], set(), []),
    ],
    ids=["all alike", "all differ", "chain", "longer chain", "one", "none"],
)
def test_letters(means: list[float], different: set[tuple[int, int]], letters: list[str]) -> None:
    assert significance_letters(means, pairs(len(means), different)) == letters


@given(st.data(), st.integers(1, 7))
def test_learners_share_a_letter_exactly_if_they_do_not_differ(data: st.DataObject, n: int) -> None:
    every = [(first, second) for first in range(n) for second in range(first + 1, n)]
    different = data.draw(st.sets(st.sampled_from(every))) if every else set()
    means = data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
    found = significance_letters(means, pairs(n, different))
    for first, second in every:
        assert bool(set(found[first]) & set(found[second])) == ((first, second) not in different)
    assert found[int(np.argmax(means))].startswith("a")
