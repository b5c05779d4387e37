"""The correction for choosing, against what choosing costs where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from evals.recommend.optimism import selection_optimism


def drawn(rng: np.random.RandomState, n_rows: int, accuracies: list[float]) -> np.ndarray:
    return (rng.random_sample((n_rows, len(accuracies))) < accuracies).astype(float)


@pytest.mark.parametrize(
    "right",
    [np.ones((20, 1)), np.ones((1, 3)), np.ones((20, 3)), np.column_stack([np.ones(20), np.zeros(20)])],
    ids=["one learner", "one row", "equals", "one that is always right"],
)
def test_where_chance_has_no_say_nothing_is_taken_off(right: np.ndarray) -> None:
    assert selection_optimism(right) == 0.0


@pytest.mark.parametrize(
    "accuracies", [[0.7] * 5, [0.85, 0.6, 0.5], [0.75, 0.73, 0.7, 0.6]], ids=["equal", "clear", "close"]
)
def test_what_is_left_is_the_truth_on_average(accuracies: list[float]) -> None:
    """Over 120 data sets of 60 rows: the learner chosen looks too good; corrected, it does not."""
    rng = np.random.RandomState(0)
    raw, corrected = [], []
    for at in range(120):
        right = drawn(rng, 60, accuracies)
        seen = right.mean(axis=0)
        best = int(seen.argmax())
        raw.append(seen[best] - accuracies[best])
        corrected.append(raw[-1] - selection_optimism(right, seed=at))
    assert abs(np.mean(corrected)) < 0.025
    assert abs(np.mean(corrected)) <= abs(np.mean(raw)) + 0.005


def test_it_is_a_function_of_the_data_and_the_seed() -> None:
    right = drawn(np.random.RandomState(1), 40, [0.7, 0.7, 0.7])
    assert selection_optimism(right, seed="x") == selection_optimism(right, seed="x") > 0
