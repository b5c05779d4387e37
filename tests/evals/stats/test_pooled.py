"""F1 over all episodes together, and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from evals.stats import pooled_f1


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[1, 0, 0]], 1.0),
        ([[0, 2, 3]], 0.0),
        ([[1, 1, 0], [3, 0, 2]], 8 / 11),
        ([[10, 0, 0], [0, 0, 10]], 20 / 30),
        ([[0, 0, 0], [2, 2, 0]], 4 / 6),
    ],
    ids=["all", "none", "two", "a large and an empty episode", "nothing to find in one"],
)
def test_the_figure_is_that_of_the_sums_and_lies_in_its_interval(counts: list[list[int]], expected: float) -> None:
    found = pooled_f1(counts)
    assert found is not None
    assert found.mean == pytest.approx(expected)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    assert found.n == len(counts)


@pytest.mark.parametrize("n", [1, 30])
def test_without_spread_the_interval_is_wilsons(n: int) -> None:
    found = pooled_f1([[3, 1, 2]] * n)
    assert found is not None
    assert found.method == "wilson"
    assert found.mean == pytest.approx(6 / 9)


def test_with_nothing_to_find_and_nothing_found_there_is_no_figure() -> None:
    assert pooled_f1([[0, 0, 0]] * 3) is None
    assert pooled_f1(np.zeros((0, 3))) is None


def test_the_interval_narrows_with_the_episodes_and_holds_the_truth_as_often_as_it_says() -> None:
    """Episodes of 5 entities, each found with probability 0.6, and one false one every other time: F1 is 0.6 / 0.85."""
    random = np.random.RandomState(0)

    def drawn(n: int) -> np.ndarray:
        found = random.binomial(5, 0.6, n)
        return np.stack([found, random.binomial(1, 0.5, n), 5 - found], axis=1)

    truth = 2 * 3 / (2 * 3 + 0.5 + 2)
    intervals = [pooled_f1(drawn(40), seed) for seed in range(60)]
    held = np.mean([one is not None and one.low <= truth <= one.high for one in intervals])
    assert held > 0.85
    few, many = pooled_f1(drawn(20)), pooled_f1(drawn(500))
    assert few is not None
    assert many is not None
    assert many.half_width < few.half_width / 3
    assert few.method == "bootstrap"
