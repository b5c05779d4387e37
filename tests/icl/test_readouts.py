"""Readouts against what is worked out by hand, and which of them is taken where none is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

from evals.learner import Context
from evals.rounds import rounds
from evals.types import Example, Prediction, Problem, Status
from fewshot.core.errors import UsageError
from icl.calibration import Contextual, calibrated
from icl.learner import ICLLearner
from icl.models.base import ContinuationScore, Prompt, ScoreRequest, ScoreResult
from icl.models.local import ko_mini, smollm2
from icl.readouts.hidden import Hidden
from icl.readouts.knn_prompting import KNNPrompting
from icl.readouts.supervised import affine_map
from tests.icl.fakes import OverlapModel, StatesModel, blocks, problem

SIX = [("a one", "a"), ("b one", "b"), ("a two", "a"), ("a three", "a"), ("b two", "b"), ("c one", "c")]


def readable(value: Any) -> str:
    return str(getattr(value, "name", value))


def ask(asked: Problem, model: Any, **parts: Any) -> Prediction:
    [prediction] = ICLLearner(model, **parts).predict([asked], Context())
    return prediction


def scores(prediction: Prediction) -> np.ndarray:
    return np.array([answer.scores for answer in prediction.answers])


def test_rounds_hold_one_example_of_every_class_that_is_left() -> None:
    support = problem(SIX, labels="abc").support
    assert [[row.text for row in one] for one in rounds(support)] == [
        ["a one", "b one", "c one"],
        ["a two", "b two"],
        ["a three"],
    ]


WORDS = {"north": (0.8, 0.2), "south": (0.1, 0.9)}
PLACES = {"north": (2.0, 1.0), "south": (-2.0, 1.0), "here": (1.0, 1.0)}


class Dictated(StatesModel):
    """Scores and states by the last word of the text."""

    def score(self, requests: Any) -> list[ScoreResult]:
        self.asked.extend(requests)
        return [self._dictated(request) for request in requests]

    def states_of(self, prompt: Prompt) -> list[float]:
        return list(next((at for word, at in PLACES.items() if word in blocks(prompt)[-1]), (0.0, 0.0)))

    def _dictated(self, request: ScoreRequest) -> ScoreResult:
        said = next((p for word, p in WORDS.items() if word in blocks(request.prompt)[-1]), (0.5, 0.5))
        pairs = zip(request.continuations, said, strict=True)
        return ScoreResult(tuple(ContinuationScore((1,), (float(np.log(p)),), len(label)) for label, p in pairs), 1)


COMPASS = problem([("far north", "up"), ("far south", "down")], ["here"], ["up", "down"])


def test_hidden_states_are_compared_with_class_means() -> None:
    # The mean of the support is (0, 1): up is left at (2, 0), down at (-2, 0), and the query at (1, 0).
    prediction = ask(COMPASS, Dictated(), readout="hidden:words=0")
    np.testing.assert_allclose(scores(prediction), [log_softmax([1 / 0.1, -1 / 0.1])], atol=1e-5)


def test_without_centring_the_common_part_counts() -> None:
    # Cosines of (1, 1) with (2, 1) and (-2, 1): 3 and -1 over the square root of 10.
    prediction = ask(COMPASS, Dictated(), readout="hidden:words=0,centre=false")
    np.testing.assert_allclose(scores(prediction), [log_softmax(np.array([3, -1]) / 10**0.5 / 0.1)], atol=1e-5)


@pytest.mark.parametrize(("shots", "words"), [(1, 1.0), (2, 1.0), (4, 3.0)])
def test_the_scores_of_labels_count_as_some_texts_per_class(shots: int, words: float) -> None:
    support = [(f"{text} {at}", label) for at in range(shots) for text, label in (("north", "up"), ("south", "down"))]
    asked = problem(support, ["south"], ["up", "down"])
    found = scores(ask(asked, Dictated(), readout=f"hidden:words={words}"))
    # Inputs without content are even between the labels, so calibration changes nothing.
    expected = np.array([-1, 1]) / 0.1 + words / shots * np.log([0.1, 0.9])
    np.testing.assert_allclose(found, [log_softmax(expected)], atol=1e-5)


def test_every_prompt_of_hidden_shows_the_same_examples() -> None:
    model = StatesModel()
    prediction = ask(problem(), model, readout="hidden")
    assert prediction.trace.demonstrations == (("s0", "s1"),) or prediction.trace.demonstrations == (("s1", "s0"),)
    assert len({request.prompt.text.rsplit("\n\n", 1)[0] for request in model.asked}) == 1


def test_knn_prompting_votes_by_what_is_said_of_texts() -> None:
    # Divergence from (0.8, 0.2): 0 to (0.8, 0.2), more to (0.5, 0.5), most to (0.1, 0.9).
    anchors = np.log([[0.1, 0.9], [0.5, 0.5], [0.8, 0.2]])
    query, classes = np.log([0.8, 0.2]), np.array([0, 0, 1])
    np.testing.assert_allclose(KNNPrompting(1)._votes(query, anchors, classes), np.log([0.5, 2.0]))
    np.testing.assert_allclose(KNNPrompting(2)._votes(query, anchors, classes), np.log([1.5, 2.0]))
    np.testing.assert_allclose(KNNPrompting(3)._votes(query, anchors, classes), np.log([2.5, 2.0]))


def test_texts_that_are_shown_do_not_vote() -> None:
    support = [("one", "up"), ("one south", "down"), ("north", "up"), ("south", "down")]
    prediction = ask(problem(support, ["a south"], ["up", "down"]), Dictated(), readout="knn-prompting:k=1")
    assert prediction.answers[0].decision == "down"
    # "one south" is nearest to nothing: the class of the only one that votes for it is that of "south".
    alone = ask(problem(support[:2], ["a south"], ["up", "down"]), Dictated(), readout="knn-prompting:k=1")
    assert alone.answers[0].decision == "down", "with one example per class, those that are shown vote"


def test_without_texts_to_fit_on_nothing_is_corrected() -> None:
    scale, offset = affine_map(np.empty((0, 3)), np.empty(0, np.intp), 1.0)
    assert (scale.tolist(), offset.tolist()) == ([1, 1, 1], [0, 0, 0])
    asked = problem([("one", "up"), ("two", "down")], ["a south"], ["up", "down"])
    np.testing.assert_allclose(scores(ask(asked, Dictated(), readout="supervised")), [np.log([0.1, 0.9])])


def test_a_correction_that_is_all_but_forbidden_changes_nothing() -> None:
    scale, offset = affine_map(np.log([[0.5, 0.5], [0.9, 0.1]]), np.array([1, 1]), 1e9)
    np.testing.assert_allclose([*scale, *offset], [1, 1, 0, 0], atol=1e-6)


def test_the_correction_is_where_the_pulls_are_even() -> None:
    # One text of label 1, of which the model says (1/2, 1/2): with t the probability that it has of label 0 afterwards,
    # the offsets are -t and t, the scales 1 - t log(1/2) and 1 + t log(1/2): their pull is t as well.
    scale, offset = affine_map(np.log([[0.5, 0.5]]), np.array([1]), 1.0)
    t = float(-offset[0])
    np.testing.assert_allclose([*scale, *offset], [1 - t * np.log(0.5), 1 + t * np.log(0.5), -t, t], atol=1e-4)
    logit = scale * np.log(0.5) + offset
    np.testing.assert_allclose(t, np.exp(log_softmax(logit))[0], atol=1e-4)


def test_supervised_takes_out_a_bias_that_the_texts_not_shown_reveal() -> None:
    class Biased(Dictated):
        """Says "up" whatever it reads, and less surely where it reads "south"."""

        def _dictated(self, request: ScoreRequest) -> ScoreResult:
            up = 0.8 if "south" in blocks(request.prompt)[-1] else 0.95
            values = [np.log(up), np.log(1 - up)]
            pairs = zip(request.continuations, values, strict=True)
            return ScoreResult(tuple(ContinuationScore((1,), (float(v),), len(label)) for label, v in pairs), 1)

    support = [(f"{place} {at}", label) for at in range(9) for place, label in (("north", "up"), ("south", "down"))]
    asked = problem(support, ["a south", "a north"], ["up", "down"])
    said = {
        readout: [answer.decision for answer in ask(asked, Biased(), readout=readout, calibrate="none").answers]
        for readout in ("labels", "supervised:strength=0.1")
    }
    assert said == {"labels": ["up", "up"], "supervised:strength=0.1": ["down", "up"]}


def test_the_channel_scores_texts_after_labels() -> None:
    class Explains(OverlapModel):
        """Every label explains a text by the letters that they share."""

        def score(self, requests: Any) -> list[ScoreResult]:
            self.asked.extend(requests)
            return [
                ScoreResult(
                    tuple(
                        ContinuationScore((1, 2), (-1.0, float(len({*request.prompt.text[-3:]} & {*text}))), len(text))
                        for text in request.continuations
                    ),
                    3,
                    2,
                )
                for request in requests
            ]

    asked = problem([("aa\naa", "a"), ("bbbb", "b")], ["abba, he said", "bb"], ["a", "b"])
    model = Explains()
    prediction = ask(asked, model, readout="channel", order="given")
    shown = "a: aa aa\nb: bbbb\n"
    assert [(request.prompt.text, request.continuations) for request in model.asked] == [
        (f"{shown}{label}:", (f" {text}",)) for text in ("abba, he said", "bb") for label in ("a", "b")
    ]
    # Of ":", the label and the line end before it, the texts share: their label's letter.
    np.testing.assert_allclose(scores(prediction), [np.log([0.5, 0.5]), log_softmax([0.0, 1.0])])
    assert (prediction.usage["predict"].tokens_in, prediction.usage["predict"].tokens_cached) == (12, 8)


def test_an_ensemble_is_the_mean_of_its_prompts() -> None:
    asked = problem()
    halves = [replace(asked, support=asked.support[at : at + 2]) for at in (0, 2)]
    for calibrate in ("none", "contextual"):
        found = ask(asked, OverlapModel(), readout="ensemble", calibrate=calibrate)
        parts = [ask(half, OverlapModel(), readout="labels", calibrate="none") for half in halves]
        raw = np.mean([scores(part) for part in parts], axis=0)
        blank = np.mean([log_softmax(part.trace.content_free, axis=1) for part in parts], axis=0)
        expected = raw if calibrate == "none" else Contextual().apply(raw, blank)
        np.testing.assert_allclose(scores(found), log_softmax(expected, axis=1), atol=1e-9)
        np.testing.assert_allclose(found.trace.content_free, blank, atol=1e-9)


def test_an_ensemble_on_record_is_calibrated_again() -> None:
    asked = problem()
    plain = ask(asked, OverlapModel(bias={"tea": 1.0}), readout="ensemble", calibrate="none")
    expected = ask(asked, OverlapModel(bias={"tea": 1.0}), readout="ensemble", calibrate="contextual")
    assert calibrated(plain, asked.labels, Contextual()).answers == expected.answers


@pytest.mark.parametrize(
    ("model", "parts", "by_states"),
    [
        (StatesModel(), {}, True),
        (StatesModel(), {"template": "minimal"}, True),
        (StatesModel(reads_labels=True), {}, False),
        (OverlapModel(), {}, False),
        (StatesModel(), {"readout": "labels"}, False),
        (StatesModel(), {"demos": 4}, False),
        (StatesModel(), {"demos": "all"}, False),
        (StatesModel(), {"selector": "balanced"}, False),
        (StatesModel(), {"calibrate": "contextual"}, False),
        (StatesModel(), {"method": "generate"}, False),
        (StatesModel(), {"normalize": "mean"}, False),
    ],
    ids=readable,
)
def test_which_readout_is_taken(model: Any, parts: dict[str, Any], by_states: bool) -> None:
    asked = problem()
    readout = ICLLearner(model, **parts)._readout_for(asked, model)
    assert isinstance(readout, Hidden) == by_states
    assert not isinstance(ICLLearner(model, **parts)._readout_for(replace(asked, support=()), model), Hidden)


def test_the_embedded_models_are_read_as_they_were_measured() -> None:
    assert (smollm2().reads_labels, ko_mini().reads_labels) == (False, True)


@pytest.mark.promise(110)
@pytest.mark.parametrize(
    ("model", "parts", "message"),
    [
        (OverlapModel(), {"readout": "hidden"}, "shows no hidden states; use readout 'labels'"),
        (StatesModel(), {"readout": "hidden", "demos": 3}, "leave out selector and demos"),
        (StatesModel(), {"readout": "ensemble", "selector": "knn"}, "leave out selector and demos"),
        (StatesModel(), {"readout": "ensemble", "method": "generate"}, "written answers have none"),
        (StatesModel(), {"readout": "knn-prompting", "method": "generate"}, "written answers have none"),
        (StatesModel(), {"readout": "supervised", "method": "generate"}, "written answers have none"),
        (StatesModel(), {"readout": "supervised:strength=0"}, "strength=0 is not above 0"),
        (OverlapModel(scores=False), {"readout": "channel"}, "gives no log-probabilities of texts"),
        (StatesModel(), {"readout": "ensemble:prompts=0"}, "prompts=0 is below 1"),
        (StatesModel(), {"readout": "knn-prompting:k=0"}, "k=0 is below 1"),
        (StatesModel(), {"readout": "hidden:words=-1"}, "is negative"),
        (StatesModel(), {"readout": "hiden"}, "hidden"),
        (StatesModel(), {"readout": "channel:x=1"}, "unknown parameter of readout 'channel': 'x'. There are none"),
    ],
    ids=readable,
)
def test_readouts_that_cannot_be_had(model: Any, parts: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(problem(), model, **parts)


@pytest.mark.promise(110)
@pytest.mark.parametrize("readout", ["hidden", "knn-prompting", "supervised"])
def test_readouts_that_need_a_support(readout: str) -> None:
    with pytest.raises(UsageError, match="there are none"):
        ask(replace(problem(), support=()), StatesModel(), readout=readout)


@pytest.mark.promise(109)
@pytest.mark.parametrize(
    ("broken", "failed"), [("brewed", [False, True, False, False]), ("mint", [True, True, True, True])]
)
def test_states_that_are_not_finite_are_failures(broken: str, failed: list[bool]) -> None:
    class Broken(StatesModel):
        def states_of(self, prompt: Prompt) -> list[float]:
            return [float("nan")] * 4 if broken in blocks(prompt)[-1] else super().states_of(prompt)

    prediction = ask(problem(), Broken(), readout="hidden")
    assert [answer.status is Status.ERROR for answer in prediction.answers] == failed
    assert "not finite" in prediction.answers[1].detail


@pytest.mark.parametrize("readout", ["hidden", "knn-prompting", "ensemble", "supervised"])
def test_a_text_that_does_not_fit_fails_alone(readout: str) -> None:
    asked = problem(queries=("an espresso", "x" * 300))
    long_one = replace(asked, support=(*asked.support, Example("s4", "y" * 300, "tea")))
    prediction = ask(long_one, StatesModel(context_length=250), readout=readout)
    assert [answer.status for answer in prediction.answers] == [Status.OK, Status.CONTEXT_EXCEEDED]
    assert prediction.answers[0].decision == "coffee"


@pytest.mark.parametrize(
    ("readout", "told"),
    [
        ("labels", None),
        ("ensemble", "several prompts"),
        ("hidden", "hidden state"),
        ("knn-prompting", "every support text"),
        ("supervised", "every support text"),
        ("channel", "`label: text`"),
    ],
)
def test_a_preview_says_what_else_is_asked(readout: str, told: str | None) -> None:
    notes = ICLLearner(StatesModel(), readout=readout).preview(problem()).notes
    assert [note for note in notes if f"readout {readout!r}" in note] == [
        note for note in notes if told and told in note
    ]
    assert any(told in note for note in notes) if told else not notes
