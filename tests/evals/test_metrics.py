"""Metrics against scikit-learn, and their behaviour where there is nothing to measure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import metrics
from evals.kinds.base import Scored
from evals.types import Answer, Status

LABELS = ("a", "b", "c")


@st.composite
def episodes(draw: st.DrawFn) -> Scored:
    gold = draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=12))
    decided = [draw(st.sampled_from([*LABELS, None])) for _ in gold]
    answers = tuple(Answer(d) if d else Answer(None, Status.UNPARSED) for d in decided)
    return Scored(LABELS, tuple(gold), answers)


def logprob(decision: str, *probabilities: float) -> Answer:
    return Answer(decision, scores=tuple(map(math.log, probabilities)), score_kind="logprob")


@given(episodes())
def test_macro_f1_equals_scikit_learn(episode: Scored) -> None:
    from sklearn.metrics import f1_score

    predicted = [answer.decision or "none" for answer in episode.answers]
    seen = [name for name in LABELS if name in {*episode.gold, *predicted}]
    expected = f1_score(episode.gold, predicted, labels=seen, average="macro", zero_division=0)
    assert metrics.macro_f1(LABELS, episode.gold, episode.answers) == pytest.approx(expected)


@given(st.lists(episodes(), min_size=1, max_size=4))
def test_recall_per_class_equals_scikit_learn(run: list[Scored]) -> None:
    from sklearn.metrics import recall_score

    gold = [name for episode in run for name in episode.gold]
    predicted = [answer.decision or "none" for episode in run for answer in episode.answers]
    names = sorted(set(gold))
    expected = recall_score(gold, predicted, labels=names, average=None, zero_division=0)
    assert metrics.recall_per_class(run) == pytest.approx(dict(zip(names, expected, strict=True)))


def test_log_loss_equals_scikit_learn() -> None:
    from sklearn.metrics import log_loss

    random = np.random.RandomState(0)
    probabilities = random.dirichlet([1, 1, 1], size=50)
    gold = random.choice(LABELS, size=50)
    answers = tuple(logprob("a", *row) for row in probabilities)
    expected = log_loss(gold, probabilities, labels=list(LABELS))
    assert metrics.log_loss([Scored(LABELS, tuple(gold), answers)]) == pytest.approx(expected)


@given(st.lists(st.tuples(*[st.sets(st.sampled_from(LABELS))] * 2), min_size=1))
def test_set_f1_equals_scikit_learn(pairs: list[tuple[set[str], set[str]]]) -> None:
    from sklearn.metrics import f1_score

    gold, predicted = ([[name in chosen for name in LABELS] for chosen in side] for side in zip(*pairs, strict=True))
    expected = f1_score(np.array(gold), np.array(predicted), average="samples", zero_division=1)
    assert metrics.mean(metrics.set_f1(*pair) for pair in pairs) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answers", "gold", "error"),
    [
        pytest.param([logprob("a", 0.99, 0.01)] * 4, "aaaa", 0.01, id="confident and right"),
        pytest.param([logprob("a", 0.99, 0.01)] * 4, "bbbb", 0.99, id="confident and wrong"),
        pytest.param([logprob("a", 0.75, 0.25)] * 4, "aaab", 0.0, id="calibrated"),
        pytest.param([logprob("a", 0.9, 0.1), logprob("b", 0.6, 0.4)], "ab", 0.5 * 0.1 + 0.5 * 0.6, id="two bins"),
    ],
)
def test_calibration_error_by_hand(answers: list[Answer], gold: str, error: float) -> None:
    assert metrics.calibration_error([Scored(("a", "b"), tuple(gold), tuple(answers))]) == pytest.approx(error)


@given(st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=1, max_size=30))
def test_calibration_error_equals_its_definition(rows: list[tuple[int, bool]]) -> None:
    answers = tuple(logprob("a", p / 100, 1 - p / 100) for p, _ in rows)
    gold = tuple("a" if right else "b" for _, right in rows)
    expected = 0.0
    for low in range(15):
        members = [(p / 100, right) for p, right in rows if low / 15 < p / 100 <= (low + 1) / 15]
        if members:
            confidence, accuracy = np.mean(members, axis=0)
            expected += len(members) / len(rows) * abs(confidence - accuracy)
    assert metrics.calibration_error([Scored(("a", "b"), gold, answers)]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "answer",
    [Answer("a"), Answer(None, Status.ERROR), Answer("a", scores=(-1.0, -1.0), score_kind="bound")],
    ids=["no scores", "not ok", "bounds only"],
)
def test_without_log_probabilities_there_is_no_log_loss(answer: Answer) -> None:
    run = [Scored(("a", "b"), ("a",), (answer,))]
    assert metrics.log_loss(run) is None
    assert metrics.calibration_error(run) is None


def test_empty_input_gives_none_not_nan() -> None:
    assert metrics.mean([]) is None
    assert metrics.mean([None]) is None
    assert metrics.log_loss([]) is None
    assert metrics.calibration_error([]) is None
    assert metrics.recall_per_class([]) == {}
    assert metrics.constant_predictor([]) == {"flag": False, "share": None, "expected": None}


@pytest.mark.parametrize(
    ("run", "flag", "share"),
    [
        pytest.param(["aaaa", "bbbb", "aaaa"], True, 1.0, id="one label per episode"),
        pytest.param(["aaaa", "abab", "abab"], False, 2 / 3, id="one episode in three"),
        pytest.param(["aaa-", "bbb-", "aaa-", "bbb-"], True, 1.0, id="what is not ok does not hide it"),
        pytest.param(["----"], False, None, id="no ok answer at all"),
    ],
)
def test_constant_predictor(run: list[str], flag: bool, share: float | None) -> None:
    scored = [
        Scored(
            ("a", "b"),
            ("a", "a", "b", "b"),
            tuple(Answer(None, Status.UNPARSED) if d == "-" else Answer(d) for d in decisions),
        )
        for decisions in run
    ]
    expected = {"flag": flag, "share": pytest.approx(share) if share else None, "expected": 0.5 if share else None}
    assert metrics.constant_predictor(scored) == expected


def test_constant_predictor_needs_gold_that_varies() -> None:
    run = [Scored(("a", "b"), ("a", "a"), (Answer("a"), Answer("a")))]
    assert metrics.constant_predictor(run) == {"flag": False, "share": None, "expected": None}


@pytest.mark.parametrize(
    ("gold", "predicted", "f1"),
    [
        ("The cat sat", "the  CAT sat", 1.0),
        ("a b", "a c", 0.5),
        ("a a b", "a", 0.5),
        ("", "", 1.0),
        ("a", "", 0.0),
        ("아주 좋다", "아주 좋다", 1.0),
    ],
)
def test_token_f1(gold: str, predicted: str, f1: float) -> None:
    assert metrics.token_f1(gold, predicted) == pytest.approx(f1)
