"""How many demonstrations are shown by default, and who may ask for more."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from evals.learner import Context
from evals.types import Prediction, Problem
from icl import ICLClassifier
from icl.learner import ICLLearner
from icl.models.local import LocalModel, ko_mini, smollm2
from tests.icl.fakes import OverlapModel, problem


def rows(**counts: int) -> list[tuple[str, str]]:
    return [(f"{label} number {at}", label) for label, n in counts.items() for at in range(n)]


def asked_with(**counts: int) -> Problem:
    return problem(rows(**counts), ["what is it?", "and this?"], ["a", "b", "c"])


def ask(asked: Problem, measured: int | None, **parts: Any) -> tuple[list[str], Prediction]:
    """What the user is told, and the prediction."""
    told: list[str] = []
    learner = ICLLearner(OverlapModel(measured_demos=measured), **parts)
    *_, prediction = learner.predict([asked, asked], Context(notify=told.append))
    return told, prediction


def shown(asked: Problem, prediction: Prediction) -> dict[str, int]:
    label_of = {example.id: str(example.label) for example in asked.support}
    (ids,) = prediction.trace.demonstrations
    return dict(Counter(label_of[each] for each in ids))


FEWER = "overlap was measured with {} demonstrations: {} of {} are shown, drawn balanced; --demos all shows every one"
MORE = "overlap was measured with {} demonstrations, and {} are shown: its answers may be worse"


@pytest.mark.promise(66)
@pytest.mark.parametrize(
    ("support", "measured", "parts", "expected", "note"),
    [
        ({"a": 20, "b": 19}, 10, {}, {"a": 5, "b": 5}, FEWER.format(10, 10, 39)),
        ({"a": 5, "b": 5, "c": 5}, 5, {}, {"a": 1, "b": 1, "c": 1}, FEWER.format(5, 3, 15)),
        ({"a": 5, "b": 5, "c": 5}, 2, {}, {"a": 1, "b": 1, "c": 1}, FEWER.format(2, 3, 15)),
        ({"a": 9, "b": 9}, 6, {}, {"a": 3, "b": 3}, FEWER.format(6, 6, 18)),
        ({"a": 9}, 6, {}, {"a": 6}, FEWER.format(6, 6, 9)),
        ({"a": 1, "b": 30}, 6, {}, {"a": 1, "b": 5}, FEWER.format(6, 6, 31)),
        ({"a": 3, "b": 3}, 6, {}, {"a": 3, "b": 3}, None),
        ({"a": 1, "b": 1, "c": 1}, 2, {}, {"a": 1, "b": 1, "c": 1}, None),
        ({"a": 9, "b": 9}, None, {}, {"a": 9, "b": 9}, None),
        ({"a": 9, "b": 9}, 6, {"demos": "all"}, {"a": 9, "b": 9}, MORE.format(6, 18)),
        ({"a": 9, "b": 9}, 6, {"selector": "all"}, {"a": 9, "b": 9}, MORE.format(6, 18)),
        ({"a": 9, "b": 9}, 6, {"demos": 8}, {"a": 4, "b": 4}, MORE.format(6, 8)),
        ({"a": 9, "b": 9, "c": 9}, 10, {"demos": 10}, None, None),
        ({"a": 9, "b": 9}, 6, {"demos": 4}, {"a": 2, "b": 2}, None),
        ({"a": 2, "b": 2}, 6, {"demos": "all", "selector": "all"}, {"a": 2, "b": 2}, None),
        ({"a": 9, "b": 9}, None, {"demos": "all"}, {"a": 9, "b": 9}, None),
        ({"a": 9, "b": 9}, None, {"demos": 2}, {"a": 1, "b": 1}, None),
    ],
)
def test_no_more_than_the_model_was_measured_with(
    support: dict[str, int],
    measured: int | None,
    parts: dict[str, Any],
    expected: dict[str, int] | None,
    note: str | None,
) -> None:
    asked = asked_with(**support)
    told, prediction = ask(asked, measured, **parts)
    assert expected is None or shown(asked, prediction) == expected
    assert told == ([] if note is None else [note])
    assert prediction.trace.notes == tuple(told)


@pytest.mark.parametrize("selector", ["knn:encoder=lexical", "mmr:encoder=lexical", "random"])
def test_another_selector_chooses_as_many(selector: str) -> None:
    told, prediction = ask(asked_with(a=9, b=9), 6, selector=selector)
    assert {len(ids) for ids in prediction.trace.demonstrations} == {6}
    assert told == ["overlap was measured with 6 demonstrations: 6 of 18 are shown; --demos all shows every one"]


def test_the_draw_is_that_of_balanced_and_depends_on_seed_and_support_alone() -> None:
    asked, model = asked_with(a=20, b=20), OverlapModel(measured_demos=10)

    def drawn(seed: int, **parts: Any) -> Any:
        learner = ICLLearner(model, **parts)
        (prediction,) = learner.predict([asked], Context(seed=seed))
        ctx = Context(seed=seed)
        again = [learner.preview(asked, at, ctx).query.demonstrations for at in range(len(asked.queries))]
        assert set(again) == set(prediction.trace.demonstrations)
        return prediction.trace.demonstrations

    assert drawn(3) == drawn(3) == drawn(3, selector="balanced", demos=10)
    assert len({drawn(seed) for seed in range(5)}) == 5


def test_the_record_has_the_number_that_auto_stands_for() -> None:
    def described(measured: int | None, **parts: Any) -> dict[str, Any]:
        return ICLLearner(OverlapModel(measured_demos=measured), **parts).describe()

    assert described(6)["measured_demos"] == 6
    assert described(6) != described(7)
    assert described(6, demos="all") == described(7, demos="all")
    assert "measured_demos" not in ICLLearner().describe()


def test_preview_and_estimate_see_the_same_prompt() -> None:
    asked, ctx = asked_with(a=20, b=20), Context()
    few, same = ICLLearner(OverlapModel(measured_demos=10)), ICLLearner(OverlapModel(), demos=10)
    assert few.preview(asked).notes == (FEWER.format(10, 10, 40),)
    assert few.preview(asked).query == same.preview(asked).query
    assert few.estimate([asked], 7, ctx).tokens == same.estimate([asked], 7, ctx).tokens


def test_the_classifier_has_the_same_default() -> None:
    texts, labels = zip(*rows(a=20, b=20), strict=True)
    model = OverlapModel(measured_demos=10)
    ICLClassifier(model, template="minimal").fit(texts, labels).predict(["what is it?"])
    assert {text.count("number") for text in (request.prompt.text for request in model.asked)} == {10}


@pytest.mark.parametrize(("model", "expected"), [(ko_mini(), 10), (LocalModel("ko-mini"), None)], ids=["named", "bare"])
def test_the_published_weights_declare_their_number(model: LocalModel, expected: int | None) -> None:
    assert model.capabilities.measured_demos == model.measured_demos == expected
    assert smollm2().measured_demos == 5
