"""The Pareto front against its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import pareto_front


@pytest.mark.parametrize(
    ("costs", "scores", "front"),
    [
        ([1, 2, 3], [0.5, 0.7, 0.6], [True, True, False]),
        ([1, 1], [0.5, 0.5], [True, True]),
        ([1, 1], [0.5, 0.6], [False, True]),
        ([1, 2], [0.5, 0.5], [True, False]),
        ([None, 2], [0.9, 0.5], [False, True]),
        ([], [], []),
    ],
    ids=["dominated", "twins", "better at the same cost", "cheaper at the same score", "unknown cost", "none"],
)
def test_front(costs: list[float | None], scores: list[float], front: list[bool]) -> None:
    assert pareto_front(costs, scores) == front


@given(st.lists(st.tuples(st.none() | st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_front_is_what_no_other_beats(entries: list[tuple[int | None, int]]) -> None:
    def beaten(cost: int, score: int) -> bool:
        known = [(c, s) for c, s in entries if c is not None]
        return any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in known)

    costs, scores = [cost for cost, _ in entries], [score for _, score in entries]
    assert pareto_front(costs, scores) == [cost is not None and not beaten(cost, score) for cost, score in entries]
