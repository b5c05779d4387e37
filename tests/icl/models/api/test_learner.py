"""In-context learning with a hosted model, from the problem to the prediction."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from evals.learner import Context
from evals.types import Example, Query, Status
from icl import ICLClassifier
from icl.learner import ICLLearner
from tests.icl.fakes import problem

from .conftest import chat

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])


@pytest.mark.promise(8)
def test_what_does_not_fit_is_dropped_before_it_is_sent(scripted, model) -> None:
    long = tuple(Example(f"s{at}", f"{at} " + "long words " * 120, "tea" if at % 2 else "coffee") for at in range(8))
    asked = replace(problem(), support=long, queries=(Query("q0", "x" * 10_000), Query("q1", "an espresso")))
    scripted(chat("coffee"))
    (prediction,) = ICLLearner(model(context_length=2000)).predict([asked], Context())
    assert [answer.status for answer in prediction.answers] == [Status.CONTEXT_EXCEEDED, Status.OK]
    assert len(scripted.seen) == 1
    assert prediction.trace.n_dropped == (8, 4)
    assert any("had no room for up to 4 demonstrations" in note for note in prediction.trace.notes)


@pytest.mark.promise(7)
@pytest.mark.promise(11)
def test_every_answer_has_its_status(scripted, model) -> None:
    said = [chat("tea"), chat("Tea."), chat("tea or coffee"), chat(""), chat(None, message={"refusal": "no"})]
    scripted(*said, chat("cof", "length"))
    asked = replace(problem(), queries=tuple(Query(f"q{at}", f"text {at}") for at in range(6)))
    (prediction,) = ICLLearner(model(concurrency=1)).predict([asked], Context())
    assert [(answer.decision, answer.status) for answer in prediction.answers] == [
        ("tea", Status.OK),
        ("tea", Status.OK),
        (None, Status.NOT_IN_LABELS),
        (None, Status.UNPARSED),
        (None, Status.REFUSED),
        (None, Status.TRUNCATED),
    ]
    assert prediction.usage["predict"].requests == 6


@pytest.mark.promise(14)
def test_problems_keep_their_order_with_many_requests_on_their_way(scripted, model) -> None:
    scripted(lambda seen: chat("tea" if "leaves" in seen[2]["messages"][-1]["content"] else "coffee"))
    texts = ["leaves" if at % 3 else "beans" for at in range(30)]
    problems = [replace(problem(queries=[text]), id=f"{at:064d}") for at, text in enumerate(texts)]
    predictions = list(ICLLearner(model(concurrency=4)).predict(problems, Context()))
    assert [prediction.problem_id for prediction in predictions] == [asked.id for asked in problems]
    assert [p.answers[0].decision for p in predictions] == ["tea" if at % 3 else "coffee" for at in range(30)]


@pytest.mark.promise(130)
def test_hosted_models_are_awaited_together(scripted, model) -> None:
    scripted(lambda seen: chat("pos" if "loved" in seen[2]["messages"][-1]["content"] else "neg"))
    classifier = ICLClassifier(model(concurrency=4)).fit(["I loved it", "I hated it"], ["pos", "neg"])

    async def together() -> list[Any]:
        return await asyncio.gather(*(classifier.predict_async([f"I loved {at}", f"dull {at}"]) for at in range(5)))

    assert [found.tolist() for found in asyncio.run(together())] == [["pos", "neg"]] * 5
    assert len(scripted.seen) == 10
