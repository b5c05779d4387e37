"""Calibration against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.types import Answer, Example, Label, Prediction, Problem, Status, TaskInfo, Trace
from fewshot.core.catalog import CALIBRATORS
from fewshot.core.errors import UsageError
from icl.calibration import Batch, Contextual, NoCalibration, calibrated
from icl.calibration.domain_context import DomainContext
from icl.calibration.pmi import PMI

LABELS = (Label("a", "a"), Label("b", "b"))
LOG = np.log


def probabilities(calibrator, raw, content_free=()) -> list[list[float]]:
    scores = calibrator.apply(LOG(np.array(raw)), LOG(np.array(content_free).reshape(-1, 2)))
    return np.exp(scores).round(6).tolist()


def test_none_normalises() -> None:
    # 0.2 : 0.6 is 1 : 3.
    assert probabilities(NoCalibration(), [[0.2, 0.6]]) == [[0.25, 0.75]]


def test_contextual_divides_by_the_mean_probability() -> None:
    # Content-free: (0.8, 0.2) and, of 0.3 : 0.2, (0.6, 0.4); mean (0.7, 0.3).
    # 0.7 / 0.7 : 0.3 / 0.3 is even; 0.35 / 0.7 : 0.45 / 0.3 is 0.5 : 1.5.
    content_free = [[0.8, 0.2], [0.3, 0.2]]
    assert probabilities(Contextual(), [[0.7, 0.3], [0.35, 0.45]], content_free) == [[0.5, 0.5], [0.25, 0.75]]


def test_contextual_with_a_context_per_query() -> None:
    raw = LOG([[0.7, 0.3], [0.7, 0.3]])
    own = LOG([[[0.7, 0.3]], [[0.5, 0.5]]])
    assert np.exp(Contextual().apply(raw, own)).round(6).tolist() == [[0.5, 0.5], [0.7, 0.3]]


def test_batch_divides_by_the_mean_over_queries() -> None:
    # In logarithms: (0.8 * 0.2) ** 0.5 = 0.4 for each label of the two mirrored queries: nothing changes.
    assert probabilities(Batch(), [[0.8, 0.2], [0.2, 0.8]]) == [[0.8, 0.2], [0.2, 0.8]]
    # Odds 9 and 1, geometric mean 3: odds 3 and 1/3 are left.
    assert probabilities(Batch(), [[0.9, 0.1], [0.5, 0.5]]) == [[0.75, 0.25], [0.25, 0.75]]


def test_batch_of_one_is_not_made_uniform() -> None:
    assert probabilities(Batch(), [[0.9, 0.1]]) == [[0.9, 0.1]]


scores = st.lists(st.lists(st.floats(-200, 0), min_size=2, max_size=2), min_size=1, max_size=6)


@given(scores, scores, st.floats(-50, 50))
def test_invariants(raw: list[list[float]], content_free: list[list[float]], bias: float) -> None:
    for calibrator in (NoCalibration(), Contextual(), PMI(), DomainContext(), Batch()):
        result = calibrator.apply(np.array(raw), np.array(content_free))
        assert result.dtype == np.float64
        assert result.shape == (len(raw), 2)
        assert np.isfinite(result).all()
        assert np.exp(result).sum(axis=1) == pytest.approx(np.ones(len(raw)))
    # A bias on one label that every input shares is taken out.
    shift = np.array([bias, 0.0])
    one = [[content_free[0][0], content_free[0][1]]]
    before = Contextual().apply(np.array(raw), np.array(one))
    assert Contextual().apply(np.array(raw) + shift, np.array(one) + shift) == pytest.approx(before, abs=1e-6)
    if len(raw) > 1:
        before = Batch().apply(np.array(raw), np.array(one))
        assert Batch().apply(np.array(raw) + shift, np.array(one)) == pytest.approx(before, abs=1e-6)


def stored(shared: bool) -> Prediction:
    answers = (
        Answer("a", raw=tuple(LOG([0.7, 0.3]))),
        Answer(None, Status.CONTEXT_EXCEEDED),
        Answer("a", raw=tuple(LOG([0.7, 0.3]))),
    )
    content_free = [[0.9, 0.1]] if shared else [[0.9, 0.1], [0.5, 0.5]]
    shown = (("s0",),) if shared else (("s0",), (), ("s1",))
    return Prediction("p", answers, trace=Trace(shown, content_free=tuple(map(tuple, LOG(content_free)))))


@pytest.mark.parametrize(("shared", "expected"), [(True, ["b", None, "b"]), (False, ["b", None, "a"])])
def test_a_stored_prediction_is_calibrated_again(shared: bool, expected: list[str | None]) -> None:
    again = calibrated(stored(shared), LABELS, Contextual())
    assert [answer.decision for answer in again.answers] == expected
    assert again.answers[1] == stored(shared).answers[1]
    plain = calibrated(again, LABELS, NoCalibration())
    assert [answer.decision for answer in plain.answers] == ["a", None, "a"]


@pytest.mark.promise(113)
def test_content_free_scores_that_are_not_there() -> None:
    bare = Prediction("p", stored(True).answers, trace=Trace((("s0",),)))
    for calibrator in (Contextual(), PMI(), DomainContext()):
        with pytest.raises(UsageError, match=f"{calibrator.name}.*not on record"):
            calibrated(bare, LABELS, calibrator)


def test_nothing_scored_stays_as_it_is() -> None:
    failed = Prediction("p", (Answer(None, Status.ERROR),))
    assert calibrated(failed, LABELS, Contextual()) is failed


@pytest.mark.parametrize("kind", ["logprob", "bound"])
def test_a_bound_stays_a_bound(kind) -> None:
    answer = Answer("a", scores=(-0.1, -2.3), score_kind=kind, raw=(-1.0, -3.0))
    again = calibrated(Prediction("p", (answer,)), LABELS, NoCalibration())
    assert again.answers[0].score_kind == kind


def on_record(shared: bool) -> Prediction:
    """One query, 0.4 : 0.6, and content-free inputs: three that all are asked with, then two of random words."""
    rows = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]
    shown = (("s0",),) if shared else ((), ("s0",))
    answers = (Answer("a", raw=tuple(LOG([0.4, 0.6]))),)
    return Prediction("p", answers, trace=Trace(shown, content_free=tuple(map(tuple, LOG(rows)))))


@pytest.mark.promise(113)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", [0.4, 0.6]),
        # The prior is (0.7, 0.3): 4/7 : 6/3 is 2 : 7.
        ("contextual", [2 / 9, 7 / 9]),
        # The second row alone, which prefers nothing.
        ("pmi", [0.4, 0.6]),
        # The last two rows, (0.3, 0.7): 4/3 : 6/7 is 14 : 9.
        ("domain-context", [14 / 23, 9 / 23]),
        ("batch", [0.4, 0.6]),
    ],
)
def test_every_calibrator_divides_by_its_own_inputs(name: str, expected: list[float], shared: bool) -> None:
    (answer,) = calibrated(on_record(shared), LABELS, CALIBRATORS.build(name)).answers
    assert answer.scores is not None
    assert np.exp(answer.scores) == pytest.approx(expected)


def test_random_words_are_of_the_support_and_as_many_as_its_texts_have() -> None:
    texts = ("one two three", "four five", "six", "seven eight nine ten")
    support = tuple(Example(str(at), text, "a") for at, text in enumerate(texts))
    asked = Problem("p", TaskInfo("t", "en", "classification"), LABELS, support, ())
    drawn = DomainContext(texts=50).inputs(asked, [0])
    assert len(drawn) == 50
    assert {len(text.split()) for text in drawn} == {2}  # ten words in four texts
    assert {word for text in drawn for word in text.split()} == set(" ".join(texts).split())
    assert drawn == DomainContext(texts=50).inputs(asked, [0]) != DomainContext(texts=50).inputs(asked, [1])


@pytest.mark.parametrize(
    ("texts", "support", "way_out"), [(0, ("a b",), "texts=0"), (3, (), "contextual"), (3, (" ",), "contextual")]
)
def test_no_random_words(texts: int, support: tuple[str, ...], way_out: str) -> None:
    examples = tuple(Example(str(at), text, "a") for at, text in enumerate(support))
    asked = Problem("p", TaskInfo("t", "en", "classification"), LABELS, examples, ())
    with pytest.raises(UsageError, match=way_out):
        DomainContext(texts).inputs(asked, [0])
