"""The learner from end to end, on a model that can be followed by eye."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.learner import Context, Learner
from evals.types import Label, Prediction, Problem, Status
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import TemplateError, UsageError
from icl.calibration import Contextual, NoCalibration, calibrated
from icl.learner import ICLLearner
from icl.prompt import PromptBuilder
from icl.selectors.knn import KNN
from tests.icl.fakes import TASK, OverlapModel, StatesModel, flat, problem

GOLD = ["coffee", "tea", "coffee", "tea"]
PARTS = [
    {"calibrate": "none"},
    {"calibrate": "contextual"},
    {"calibrate": "batch"},
    {"selector": "knn", "encoder": "lexical", "demos": 2, "order": "nearest-last"},
    {"selector": "mmr:lambda=0.7", "encoder": "lexical", "demos": 3},
    {"selector": "balanced", "demos": 2},
    {"demos": 2},
    {"selector": "random:per_query=true", "demos": 3, "order": "given"},
    {"order": "shuffled:per_query=true"},
    {"format": "chat"},
    {"normalize": "bytes"},
    {"calibrate": "pmi"},
    {"calibrate": "domain-context:texts=2"},
    {"readout": "ensemble"},
    {"readout": "ensemble:prompts=1", "calibrate": "none"},
    {"readout": "knn-prompting:k=1"},
    {"readout": "hidden"},
    {"readout": "hidden:words=2,centre=false", "format": "chat"},
    {"demos": 0, "selector": "random"},
]


def run(asked: Problem, model: OverlapModel | None = None, seed: int = 0, **parts: Any) -> Prediction:
    [prediction] = ICLLearner(model or StatesModel(reads_labels=True), **parts).predict([asked], Context(seed=seed))
    return prediction


def decisions(prediction: Prediction) -> list:
    return [answer.decision for answer in prediction.answers]


@pytest.mark.parametrize("parts", PARTS[:-1], ids=str)
def test_it_answers(parts: dict[str, Any]) -> None:
    prediction = run(problem(), **parts)
    # Two of four demonstrations drawn at random may lack the telling words.
    if parts.get("selector", "all") in ("all", "knn"):
        assert decisions(prediction) == GOLD
    for answer in prediction.answers:
        assert answer.score_kind == "logprob"
        assert sum(2.718281828459045**score for score in answer.scores or ()) == pytest.approx(1)
    assert len(prediction.trace.prompt_hashes) == 4
    assert prediction.usage["predict"].tokens_in > 0


def test_contextual_calibration_takes_a_bias_out() -> None:
    bias = {"tea": 3.0}
    assert decisions(run(problem(), OverlapModel(bias=bias), calibrate="none")) == ["tea"] * 4
    assert decisions(run(problem(), OverlapModel(bias=bias), calibrate="contextual")) == GOLD
    assert decisions(run(problem(), OverlapModel(bias=bias), calibrate="batch")) == GOLD


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_the_order_of_queries_changes_nothing(parts: dict[str, Any]) -> None:
    asked = problem()
    turned = replace(asked, id="1" * 64, queries=asked.queries[::-1])
    before, after = run(asked, **parts), run(turned, **parts)
    assert decisions(before) == decisions(after)[::-1]
    for one, other in zip(before.answers, after.answers[::-1], strict=True):
        assert one.scores == pytest.approx(other.scores)


@pytest.mark.parametrize("parts", [part for part in PARTS if part.get("calibrate") != "batch"], ids=str)
def test_one_query_alone_gets_the_same_answer(parts: dict[str, Any]) -> None:
    asked = problem()
    together = run(asked, **parts)
    for at, query in enumerate(asked.queries):
        alone = run(replace(asked, id=str(at) * 64, queries=(query,)), **parts)
        assert alone.answers[0].scores == pytest.approx(together.answers[at].scores)


def test_one_call_shares_everything() -> None:
    class Counted(OverlapModel):
        calls = 0

        def score(self, requests):
            self.calls += 1
            return super().score(requests)

    model = Counted()
    run(problem(), model)
    assert (model.calls, len(model.asked)) == (1, 4 + 3)


@pytest.mark.parametrize(
    ("parts", "shared", "n_content_free"),
    [
        ({}, True, 3),
        ({"calibrate": "domain-context"}, True, 23),
        ({"selector": "knn:encoder=lexical", "demos": 1}, False, 12),
        ({"method": "generate"}, True, 0),
    ],
    ids=["shared", "domain", "per-query", "generate"],
)
def test_the_trace_says_what_was_shown(parts, shared: bool, n_content_free: int) -> None:
    trace = run(problem(), **parts).trace
    assert len(trace.demonstrations) == (1 if shared else 4)
    assert all(name.startswith("s") for shown in trace.demonstrations for name in shown)
    assert len(trace.content_free) == n_content_free
    assert trace.n_dropped == (0,)


def test_a_run_on_record_is_calibrated_again() -> None:
    asked = problem()
    for parts in ({}, {"selector": "knn:encoder=lexical", "demos": 1}):
        plain = run(asked, OverlapModel(bias={"tea": 1.0}), calibrate="none", **parts)
        expected = run(asked, OverlapModel(bias={"tea": 1.0}), calibrate="contextual", **parts)
        assert calibrated(plain, asked.labels, Contextual()).answers == expected.answers
        assert calibrated(expected, asked.labels, NoCalibration()).answers == plain.answers


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_prompts_are_rendered_again_from_the_seed(parts: dict[str, Any]) -> None:
    asked, ctx, model = problem(), Context(seed=7), StatesModel(reads_labels=True)
    run(asked, model, seed=7, **parts)
    again = [ICLLearner(StatesModel(reads_labels=True), **parts).prompt_for(asked, at, ctx) for at in range(4)]
    assert again == [request.prompt for request in model.asked[:4]]


def test_preview_sends_nothing() -> None:
    model = OverlapModel()
    preview = ICLLearner(model).preview(problem(), 1)
    assert model.asked == []
    assert preview.query.prompt is not None
    assert preview.query.prompt.text.endswith("Order: leaves, brewed\nDrink:")
    assert sorted(preview.query.demonstrations) == ["s0", "s1", "s2", "s3"]
    assert preview.continuations == (" coffee", " tea")
    assert preview.trie_size


@pytest.mark.parametrize(
    ("labels", "format", "expected"),
    [
        (("pos", "positive"), "completion", (" pos\n\n", " positive\n\n")),
        (("pos", "neg"), "completion", (" pos", " neg")),
        (("pos", "positive"), "chat", ("pos", "positive")),
        (("긍정", "부정"), "completion", (" 긍정", " 부정")),
    ],
    ids=["closed", "no-prefix", "chat", "shared-last-syllable"],
)
def test_pitfall_9_labels_that_begin_each_other_are_closed(labels, format, expected) -> None:
    asked = problem([("a", labels[0]), ("b", labels[1])], ["c"], labels)
    preview = ICLLearner(OverlapModel(), format=format).preview(asked)
    assert preview.continuations == expected
    assert any("begins label" in note for note in preview.notes) is (format == "chat")


def test_pitfall_20_falsy_labels() -> None:
    asked = problem([("off", "0"), ("on", "1"), ("off now", "0"), ("on now", "1")], ["off, please", "on!"], ["0", "1"])
    assert decisions(run(asked)) == ["0", "1"]
    assert decisions(run(asked, OverlapModel(writes=lambda _: "0"), method="generate")) == ["0", "0"]


def test_pitfall_17_generated_nonsense_is_reported() -> None:
    written = itertools.cycle([" tea.", "tea or coffee", "", "water"])
    prediction = run(problem(), OverlapModel(writes=lambda _: next(written)), method="generate")
    assert decisions(prediction) == ["tea", None, None, None]
    expected = [Status.OK, Status.NOT_IN_LABELS, Status.UNPARSED, Status.NOT_IN_LABELS]
    assert [answer.status for answer in prediction.answers] == expected
    assert all(answer.scores is None for answer in prediction.answers)


def test_pitfall_18_every_class_gets_to_stand_last() -> None:
    last = {run(problem(), seed=seed).trace.demonstrations[0][-1] for seed in range(40)}
    assert last == {"s0", "s1", "s2", "s3"}


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_pitfall_19_any_text_is_asked_as_it_is(text: str) -> None:
    model = OverlapModel()
    run(problem(queries=[text]), model)
    asked = model.asked[0].prompt.text
    assert asked.splitlines()[-2].startswith("Order: ")  # on one line, whatever line ends it has
    assert "".join(asked.split()).endswith("".join(f"Order: {text}\nDrink:".split()))


@pytest.mark.parametrize(
    ("change", "parts", "says"),
    [
        ({"labels": (Label("a", "Tea"), Label("b", " tea "))}, {}, "'a' .*'b' .*read alike"),
        ({"labels": (Label("a", ""), Label("b", "b"))}, {}, "label 'a' has no words"),
        ({"task": replace(TASK, kind="tagging")}, {}, "of kind 'tagging'"),
        ({}, {"format": "xml"}, "unknown prompt format 'xml'"),
        ({}, {"format": "chat", "model": OverlapModel(chat=False)}, "has no chat format"),
        ({}, {"model": OverlapModel(scores=False), "method": "direct"}, "use --method generate"),
        ({}, {"selector": "all", "demos": 2}, "use --selector balanced"),
        ({}, {"demos": "some"}, "neither a number, nor all or auto"),
        ({}, {"order": "nearest-last"}, "needs similarities"),
        ({}, {"selector": "knnn"}, "Did you mean 'knn'"),
        ({}, {"template": "clasify"}, "Did you mean 'classify'"),
        ({}, {"calibrate": "contextul"}, "Did you mean 'contextual'"),
    ],
)
def test_requests_that_cannot_be_carried_out(change, parts, says: str) -> None:
    parts = {"model": OverlapModel(), **parts}
    with pytest.raises(UsageError, match=says):
        list(ICLLearner(**parts).predict([replace(problem(), **change)], Context()))


def test_a_template_that_does_not_fit_the_task() -> None:
    with pytest.raises(TemplateError, match="text_pair"):
        run(problem(), template="pair")


def test_notes_reach_the_user_once() -> None:
    told: list[str] = []
    model = OverlapModel(languages=("en",), system_role=False)
    asked = problem(task=replace(TASK, language="ko"))
    list(ICLLearner(model, format="chat").predict([asked, asked], Context(notify=told.append)))
    assert len(told) == 2
    assert "expect answers near chance" in told[1]
    assert "system role" in told[0]
    assert all(TASK.instruction in flat(request.prompt) for request in model.asked)


def test_it_stops_when_told() -> None:
    ctx = Context(deadline=time.monotonic() - 1)
    assert list(ICLLearner(OverlapModel()).predict([problem()], ctx)) == []


def test_estimate_counts_ahead() -> None:
    estimate = ICLLearner(OverlapModel()).estimate([problem()], 20, Context())
    [asked] = [ICLLearner(OverlapModel()).preview(problem()).trie_size]
    assert asked is not None
    assert estimate.tokens == 20 * asked
    assert estimate.usd == 0


@pytest.mark.parametrize(
    ("parts", "transductive"),
    [({"calibrate": "batch"}, True), ({}, False), ({"calibrate": "batch", "method": "generate"}, False)],
)
def test_transductive_is_the_calibrators_word(parts, transductive: bool) -> None:
    learner: Learner = ICLLearner(OverlapModel(), **parts)
    assert learner.transductive is transductive


def test_describe_is_json_and_tells_parts_apart() -> None:
    learners = [ICLLearner(OverlapModel(), **parts) for parts in PARTS]
    written = [json.dumps(learner.describe(), sort_keys=True) for learner in learners]
    assert len(set(written)) == len(written)
    assert learners[4].describe()["selector"] == {
        "name": "mmr",
        "encoder": "lexical",
        "balanced": False,
        "lambda_": 0.7,
        "fetch": 64,
    }


def test_the_constructor_only_stores() -> None:
    learner = LEARNERS.build("icl:model=(hf:nowhere/to-be-found),selector=(mmr:lambda=0.3),demos=4,template=none")
    assert isinstance(learner, ICLLearner)
    assert (learner.demos, learner.template, str(learner.selector)) == (4, None, "mmr:lambda=0.3")


def test_parts_may_be_objects() -> None:
    template = PromptBuilder("minimal").template
    prediction = run(problem(), selector=KNN(), demos=2, calibrate=NoCalibration(), template=template)
    assert len(prediction.answers) == 4
