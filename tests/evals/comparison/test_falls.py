"""A learner that more examples make worse is told of; noise is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.comparison import compare
from evals.comparison.falls import falls, largest_fall
from tests.evals.comparison.toys import Knowing, riddles

HIGH, LOW = [0.8, 0.9, 0.7, 0.8, 0.9, 0.8, 0.7, 0.8], [0.6, 0.7, 0.5, 0.7, 0.6, 0.6, 0.5, 0.6]


@pytest.mark.promise(114)
@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ({1: HIGH, 5: LOW}, (1, 5)),
        ({5: LOW, 1: HIGH}, (1, 5)),
        ({1: LOW, 5: HIGH}, None),
        ({1: HIGH, 5: HIGH}, None),
        ({1: LOW, 2: HIGH, 4: LOW, 8: HIGH}, (2, 4)),
        ({1: HIGH, 5: [*LOW[:4], *HIGH[4:]]}, None),  # four episodes of eight: p is 1/8
        ({1: HIGH[:3], 5: LOW[:3]}, None),
        ({1: HIGH}, None),
        ({}, None),
    ],
    ids=["falls", "in any order", "rises", "level", "in between", "half", "three episodes", "one shot", "none"],
)
def test_a_fall_is_one_that_chance_does_not_explain(scores, found: tuple[int, int] | None) -> None:
    fall = largest_fall(scores)
    assert (None if fall is None else (fall.few, fall.many)) == found


def test_the_sentence_says_where_and_how_far() -> None:
    fall = largest_fall({1: HIGH, 5: LOW})
    assert fall is not None
    assert fall.sentence("icl", "intents") == (
        "icl falls from 80.0 % at 1-shot to 60.0 % at 5-shot on intents (p = 0.008): more examples make it worse"
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_no_difference_smaller_than_the_largest_fall_is_told_instead(seed: int) -> None:
    random = np.random.RandomState(seed)
    scores = {shot: (random.rand(12) * 0.2 + (0.7 if shot == 2 else 0.2)).tolist() for shot in (1, 2, 4)}
    fall = largest_fall(scores)
    assert fall is not None
    assert (fall.few, fall.many) == (2, 4)


@pytest.mark.promise(114)
def test_learners_that_fall_are_found_in_a_comparison(tmp_path: Path) -> None:
    learners = {"falling": Knowing(80, per_shot=-8), "steady": Knowing(60), "growing": Knowing(40, per_shot=6)}
    found = compare(riddles(), learners, way=5, shot=[1, 4], query=10, episodes=30, folder=tmp_path / "comparison")
    assert [(name, fall.few, fall.many) for name, _, fall in falls(found.analyses)] == [("falling", 1, 4)]
