"""Scorers of hosted models: first tokens, decisions, structured answers, and what is chosen by default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.learner import Budget, Context
from evals.types import Status, Usage
from fewshot.core.errors import UsageError
from icl.learner import ICLLearner
from icl.models.base import Capabilities, Decision, DecisionRequest, GenerateRequest, Generation, Prompt
from icl.scoring.base import Choices
from icl.scoring.decision import Decide
from icl.scoring.logprobs import TopLogprobs
from icl.scoring.structured import Structured

from .fakes import OverlapModel, problem


@dataclass
class Hosted(OverlapModel):
    """Shows the same first tokens, or writes the same text, whatever it is asked."""

    scores: bool = False
    shows: tuple[tuple[str, float], ...] = ()
    says: str = ""
    status: Status = Status.OK
    decisions: tuple[float, ...] | None = None
    concurrency: int = 1
    seen: list[Any] = field(default_factory=list)
    attended: list[Context] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        top = 20 if self.shows or self.status is not Status.OK else 0
        return Capabilities(100_000, self.scores, True, True, (), top, self.concurrency)

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generation]:
        self.seen.extend(requests)
        return [Generation(self.says, self.status, 3, 1, 2, 0.5, 1, self.shows) for _ in requests]

    def decide(self, requests: Sequence[DecisionRequest]) -> list[Decision]:
        self.seen.extend(requests)
        return [Decision(self.decisions, self.status, "why", Usage(requests=1)) for _ in requests]

    def attend(self, ctx: Context) -> None:
        self.attended.append(ctx)

    def abandon(self) -> None: ...

    def foresee(self, requests: Sequence[GenerateRequest]) -> tuple[int, float | None]:
        return 10 * len(requests), None


def read(shows: dict[str, float], labels: Sequence[str]) -> Any:
    """The reading of one prompt whose first tokens have these probabilities."""
    model = Hosted(shows=tuple((token, math.log(p)) for token, p in shows.items()))
    (reading,) = TopLogprobs().read(model, [Prompt("x")], Choices(tuple(labels), tuple(labels))).readings
    return reading


@pytest.mark.promise(43)
@pytest.mark.parametrize(
    ("shows", "labels", "expected", "bound"),
    [
        ({"positive": 0.9, "negative": 0.1}, ("positive", "negative"), (0.9, 0.1), False),
        ({" Positive": 0.7, "pos": 0.2, "neg": 0.05}, ("positive", "negative"), (0.9, 0.05), False),
        ({"pos": 0.9, "maybe": 0.04}, ("positive", "negative"), (0.9, 0.04), True),
        ({"pos": 0.9, "maybe": 0.08}, ("positive", "negative"), (0.9, 0.02), True),
        ({"tea": 0.5, "t": 0.1, "toddy": 0.3}, ("tea", "toddy"), (0.5, 0.3), False),
        ({"부": 0.6, "긍": 0.4}, ("긍정", "부정"), (0.4, 0.6), False),
        ({"positives": 0.9, "negative": 0.05}, ("positive", "negative"), (0.05, 0.05), True),
    ],
    ids=["whole", "pieces", "least-shown", "least-left", "shared-but-rare", "korean", "longer-words"],
)
def test_first_tokens(shows: dict[str, float], labels: Any, expected: Any, bound: bool) -> None:
    reading = read(shows, labels)
    assert [math.exp(score) for score in reading.raw] == pytest.approx(expected)
    assert reading.bound is bound
    assert f"{sum(shows.values()):.4f}" in reading.detail, "coverage is on record"


@pytest.mark.promise(43)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(1e-12, 0.12), min_size=1))
def test_a_label_that_is_not_shown_is_no_zero(shows: dict[str, float]) -> None:
    reading = read(shows, ("a", "b", "z"))
    if reading.raw is None:
        assert reading.status is Status.NOT_IN_LABELS
        return
    assert reading.bound
    assert all(math.isfinite(score) for score in reading.raw)
    assert math.exp(reading.raw[2]) <= min(shows.values()) * (1 + 1e-9)


@pytest.mark.promise(12)
@pytest.mark.parametrize(
    ("labels", "shows"),
    [
        (("pos", "positive", "post"), {"pos": 1.0}),
        (("card arrival", "card linking"), {"card": 1.0}),
        (("transfer_in", "transfer_out"), {"transfer": 0.99}),
        (("toddy", "tea"), {"t": 0.9, "tea": 0.05, "toddy": 0.01}),
    ],
    ids=str,
)
def test_labels_that_share_their_first_token_are_refused(labels: Any, shows: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"first token.*--method generate or structured"):
        read(shows, labels)


def test_no_log_probabilities_no_scores() -> None:
    choices = Choices(("a", "b"), ("a", "b"))
    with pytest.raises(UsageError, match="use --method generate"):
        TopLogprobs().read(Hosted(), [Prompt("x")], choices)
    with pytest.raises(UsageError, match="use --method direct"):
        TopLogprobs().read(OverlapModel(), [Prompt("x")], choices)
    silent = Hosted(shows=(("a", 0.0),))
    silent.generate = lambda requests: [Generation("a") for _ in requests]  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="without log-probabilities"):
        TopLogprobs().read(silent, [Prompt("x")], choices)
    (reading,) = TopLogprobs().read(Hosted(says="no", status=Status.REFUSED), [Prompt("x")], choices).readings
    assert (reading.status, reading.detail) == (Status.REFUSED, "no")
    with pytest.raises(UsageError, match="no choice questions"):
        Decide().read(OverlapModel(), [Prompt("x")], choices)


@pytest.mark.promise(43)
@pytest.mark.parametrize(
    ("probabilities", "bound"), [((0.75, 0.25), False), ((1.0, 0.0), True)], ids=["plain", "rounded"]
)
def test_decisions_are_scores(probabilities: tuple[float, ...], bound: bool) -> None:
    model = Hosted(decisions=probabilities)
    (reading,) = Decide().read(model, [Prompt("x")], Choices(("a", "b"), (" a", " b"))).readings
    assert [math.exp(score) for score in reading.raw or ()] == pytest.approx(probabilities, abs=2e-6)
    assert reading.bound is bound
    assert model.seen[0].choices == ("a", "b")


def test_structured_answers_are_parsed_strictly() -> None:
    for says, choice in (('{"label": "b"}', 1), ("a", 0), ('{"label": "c"}', None), ("{", None)):
        model = Hosted(says=says)
        readings = Structured().read(model, [Prompt("x")], Choices(("a", "b"), (" a", " b")))
        assert readings.readings[0].choice == choice
        assert model.seen[0].choices == ("a", "b")
        assert readings.usage == Usage(0.0, 1, 3, 1, 2, 0.5)


@pytest.mark.parametrize("method", ["logprobs", "decision"])
@pytest.mark.parametrize("calibrate", ["auto", "contextual"])
def test_bounds_stay_marked(method: str, calibrate: str) -> None:
    model = Hosted(shows=(("coffee", math.log(0.9)), ("x", math.log(0.01))), decisions=(1.0, 0.0))
    learner = ICLLearner(model, method=method, calibrate=calibrate)
    (prediction,) = learner.predict([problem()], Context())
    assert {answer.score_kind for answer in prediction.answers} == {"bound"}
    assert {answer.status for answer in prediction.answers} == {Status.OK}
    n_asked = len(model.seen)
    assert n_asked == (4 if calibrate == "auto" else 7), "content-free inputs are paid for only where they are used"


@pytest.mark.parametrize(
    ("model", "method", "format", "calibrate"),
    [
        (OverlapModel(), "direct", "completion", "contextual"),
        (Hosted(says="tea"), "generate", "chat", "none"),
    ],
    ids=["exact", "hosted"],
)
def test_what_is_chosen_by_default(model: Any, method: str, format: str, calibrate: str) -> None:
    learner = ICLLearner(model)
    described = learner.describe()
    assert (described["method"]["name"], described["format"], described["calibrate"]["name"]) == (
        method,
        format,
        calibrate,
    )
    told: list[str] = []
    (prediction,) = learner.predict([problem()], Context(notify=told.append))
    assert any("--method generate" in note for note in prediction.trace.notes) is (method == "generate")


@pytest.mark.promise(41)
def test_the_model_attends_to_the_context_of_the_run() -> None:
    model, ctx = Hosted(says="tea"), Context(budget=Budget(max_requests=3))
    learner = ICLLearner(model)
    estimate = learner.estimate([problem()], 10, ctx)
    assert (estimate.tokens, estimate.usd, model.seen) == (10 * 4 * 10, None, [])
    list(learner.predict([problem()], ctx))
    assert all(attended is ctx for attended in model.attended)


def test_problems_are_asked_together_and_answered_in_order() -> None:
    problems = [problem(queries=[f"query {at}"]) for at in range(20)]
    numbered = [type(p)(f"{at:064d}", p.task, p.labels, p.support, p.queries) for at, p in enumerate(problems)]
    model = Hosted(says="tea", concurrency=8)
    predictions = list(ICLLearner(model).predict(numbered, Context()))
    assert [prediction.problem_id for prediction in predictions] == [p.id for p in numbered]
    assert {prediction.answers[0].decision for prediction in predictions} == {"tea"}
    assert predictions[0].usage["predict"].requests == 1
    assert predictions[0].usage["predict"].usd == 0.5
