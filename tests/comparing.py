"""What "the same answers" means: rounding differs from process to process, and from one shape of a batch to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evals.types import Answer, Prediction


def assert_same_answers(found: Sequence[Answer], expected: Sequence[Answer]) -> None:
    """Equal in everything but the scores, and those to four decimals."""
    assert [_without_scores(answer) for answer in found] == [_without_scores(answer) for answer in expected]
    assert_same_scores([answer.scores for answer in found], [answer.scores for answer in expected])
    assert_same_scores([answer.raw for answer in found], [answer.raw for answer in expected])


def _without_scores(answer: Answer) -> Answer:
    return replace(answer, scores=None, raw=None)


def assert_same_predictions(found: Sequence[Prediction], expected: Sequence[Prediction]) -> None:
    """The same answers that came about in the same way, whatever they took."""
    for one, other in zip(found, expected, strict=True):
        assert one.problem_id == other.problem_id
        assert replace(one.trace, content_free=()) == replace(other.trace, content_free=())
        assert_same_scores(one.trace.content_free, other.trace.content_free)
        assert_same_answers(one.answers, other.answers)


def assert_same_scores(found: Sequence[Sequence[float] | None], expected: Sequence[Sequence[float] | None]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_allclose(one, other, atol=1e-4, rtol=0)
