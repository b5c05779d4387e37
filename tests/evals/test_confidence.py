"""Probabilities that are worth what they say, and answers that are left out when they are not sure enough."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evals.confidence import Confidence, calibrated
from evals.predictor import Predictor
from evals.types import Answer, Example, Label, Status, TaskInfo
from fewshot.core.errors import UsageError


def drawn(n: int, sharpness: float, seed: int = 0) -> list[tuple[str, Answer, int]]:
    """Answers over three classes whose logits are `sharpness` times what they ought to be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right = [int(rng.choice(3, p=row)) for row in honest]
    scores = sharpness * logits
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    names = "abc"
    return [
        (str(at), Answer(names[int(row.argmax())], scores=tuple(row.tolist())), gold)
        for at, (row, gold) in enumerate(zip(scores, right, strict=True))
    ]


@pytest.mark.parametrize("sharpness", [0.25, 1.0, 4.0])
def test_the_temperature_is_that_by_which_probabilities_are_off(sharpness: float) -> None:
    found = Confidence.measure(drawn(3000, sharpness))
    assert found is not None
    assert found.temperature == pytest.approx(sharpness, rel=0.12)
    assert found.log_loss[1] <= found.log_loss[0]
    assert found.calibration_error[1] < 0.03
    assert Confidence.restored(found.record()) == found


def test_calibration_by_hand_changes_no_decision() -> None:
    answer = calibrated(Answer("a", scores=(math.log(0.8), math.log(0.2))), 2.0)
    assert answer.decision == "a"
    assert answer.scores is not None
    assert math.exp(answer.scores[0]) == pytest.approx(2 / 3)


@pytest.mark.promise(162)
def test_a_promised_accuracy_is_kept_on_new_texts() -> None:
    found = Confidence.measure(drawn(1500, 1.0))
    assert found is not None
    threshold = found.threshold_for(0.9)
    later = drawn(4000, 1.0, seed=1)
    sure = [
        gold == "abc".index(str(answer.decision))
        for _, answer, gold in later
        if math.exp(max(calibrated(answer, found.temperature).scores or (0,))) >= threshold
    ]
    assert len(sure) > 400
    assert np.mean(sure) >= 0.9


def test_what_cannot_be_promised_is_told() -> None:
    found = Confidence.measure(drawn(40, 1.0))
    assert found is not None
    with pytest.raises(UsageError, match=r"an accuracy of 0\.999 cannot be promised: of the surer half of 40 texts"):
        found.threshold_for(0.999)


@pytest.mark.parametrize(
    "answers",
    [drawn(19, 1.0), [("a", Answer("a"), 0)] * 30, drawn(5, 1.0) * 10],
    ids=["too few", "no probabilities", "the same five texts again"],
)
def test_nothing_is_said_without_enough_to_say_it_by(answers: list[tuple[str, Answer, int]]) -> None:
    assert Confidence.measure(answers) is None


LABELS = (Label("배송", "배송"), Label("환불", "환불"))
SUPPORT = tuple(
    Example(str(at), text, label)
    for at, (text, label) in enumerate(
        [("배송이 언제 오나요", "배송"), ("택배 배송 조회", "배송"), ("환불해 주세요", "환불")]
    )
)


def test_an_unsure_answer_is_no_label_and_no_failure() -> None:
    confidence = Confidence(1.0, (0.5, 0.5), (0.1, 0.1), tuple((1 - at / 100, 1.0) for at in range(50)))
    made = Predictor("tfidf", TaskInfo("mine", "ko", "classification"), LABELS, SUPPORT, confidence=confidence)
    labeller = made.labeller(abstain=0.999)
    sure, unsure = labeller.answer([labeller.query("환불해 주세요"), labeller.query("배송 환불")])
    assert {sure.status, unsure.status} <= {Status.OK, Status.UNSURE}
    assert (unsure.decision, unsure.status) == (None, Status.UNSURE)
    assert unsure.detail.startswith("most likely ")
    assert made.threshold("0.8") == 0.8
    assert made.threshold("accuracy=0.8") == pytest.approx(0.51)
    for wanted in ("2", "often", "accuracy=1.5", "recall=0.9"):
        with pytest.raises(UsageError, match="--abstain"):
            made.threshold(wanted)
