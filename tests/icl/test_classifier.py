"""scikit-learn's verbs around a language model."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from fewshot.core.errors import UsageError
from icl import ICLClassifier, ICLLearner
from tests.icl.fakes import OverlapModel

TEXTS = ["a black espresso", "green leaves in a pot", "espresso with milk", "leaves of mint, hot"]
LABELS = ["coffee", "tea", "coffee", "tea"]


def test_fit_and_predict() -> None:
    classifier = ICLClassifier(OverlapModel(), template="named").fit(TEXTS, LABELS)
    assert classifier.classes_.tolist() == ["coffee", "tea"]
    assert classifier.predict(["double espresso", "green leaves"]).tolist() == ["coffee", "tea"]
    assert classifier.predict_proba(["espresso"]).sum(axis=1) == pytest.approx(np.ones(1))
    assert classifier.score(["my espresso"], ["coffee"]) == 1.0


def test_batches_change_nothing() -> None:
    asked = ["double espresso", "green leaves", "milk"]
    whole = ICLClassifier(OverlapModel(), template="named").fit(TEXTS, LABELS).predict_proba(asked)
    assert ICLClassifier(OverlapModel(), template="named", batch_size=1).fit(TEXTS, LABELS).predict_proba(
        asked
    ) == pytest.approx(whole)


def test_order_of_labels_and_rows_of_one_class_first() -> None:
    order = np.argsort(LABELS, kind="stable")
    classifier = ICLClassifier(OverlapModel(), template="named", selector="balanced", demos=2)
    classifier.fit([TEXTS[at] for at in order], [LABELS[at] for at in order])
    assert set(classifier.predict(["espresso", "leaves"])) <= {"coffee", "tea"}


def test_clone_and_parameters() -> None:
    base = pytest.importorskip("sklearn.base")
    classifier = ICLClassifier(OverlapModel(), template="named", demos=2, selector="knn", seed=3)
    twin = base.clone(classifier)
    assert (twin.demos, twin.selector, twin.seed) == (2, "knn", 3)
    assert twin.set_params(calibrate="none").get_params()["calibrate"] == "none"
    with pytest.raises(ValueError, match="calibrate"):
        twin.set_params(calibrat="none")


def test_wrong_parts_are_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'knn'"):
        ICLClassifier(OverlapModel(), template="named", selector="kn").fit(TEXTS, LABELS).predict(["x"])


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, icl, icl.learner, icl.classifier; print([m for m in ('torch', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.promise(129)
def test_what_is_not_said_is_as_on_the_command_line() -> None:
    defaults, learners = (inspect.signature(each).parameters for each in (ICLClassifier, ICLLearner))
    assert {name: each.default for name, each in learners.items()} == {
        name: defaults[name].default for name in learners
    }


def writer() -> OverlapModel:
    """A model that gives no scores of labels, as hosted ones."""
    return OverlapModel(scores=False, writes=lambda p: "coffee" if "espresso" in p.messages[-1].content else "tea")


@pytest.mark.promise(129)
def test_a_model_that_gives_no_scores_is_asked_in_its_own_way() -> None:
    found = ICLClassifier(writer(), template="named").fit(TEXTS, LABELS).predict(["double espresso", "green leaves"])
    assert found.tolist() == ["coffee", "tea"]


WORDS: dict[str, tuple[dict[str, Any], str]] = {
    "method": ({"model": writer(), "method": "direct"}, 'use method="generate"'),
    "a number": ({"demos": -1}, "demos=-1 is negative"),
    "several values": ({"order": "nearest-last"}, 'use selector="knn", "bm25", "mmr" or "dpp", or order="shuffled"'),
    "a format": ({"format": "chat"}, 'use format="completion"'),
    "a wrong number": ({"demos": "few"}, "demos='few' is neither"),
}


@pytest.mark.promise(129)
@pytest.mark.parametrize(("arguments", "message"), WORDS.values(), ids=WORDS)
def test_errors_speak_of_arguments(arguments: dict[str, Any], message: str) -> None:
    classifier = ICLClassifier(**{"model": OverlapModel(chat=False), "template": "named", **arguments})
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        classifier.fit(TEXTS, LABELS).predict(["espresso"])
    assert "--" not in str(refused.value)


class Slow(OverlapModel):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.told, self.calls = threading.Event(), threading.Event(), 0

    def score(self, requests: Any) -> Any:
        self.calls += 1
        self.waits.set()
        assert self.told.wait(30), "the loop that waits is blocked"
        return super().score(requests)


@pytest.mark.promise(130)
@pytest.mark.parametrize("cancelled", [False, True])
def test_the_loop_goes_on_while_a_model_is_awaited(cancelled: bool) -> None:
    model = Slow()
    classifier = ICLClassifier(model, template="named", batch_size=1).fit(TEXTS, LABELS)

    async def work() -> list[str]:
        waiting = asyncio.create_task(classifier.predict_async(["double espresso", "green leaves"]))
        while not model.waits.is_set():
            await asyncio.sleep(0)
        if cancelled:
            waiting.cancel()
            await asyncio.sleep(0)
        model.told.set()
        return (await waiting).tolist()

    if cancelled:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(work())
        assert model.calls == 1, "the second batch is not begun"
    else:
        assert asyncio.run(work()) == ["coffee", "tea"]


@pytest.mark.promise(130)
def test_what_is_awaited_together_answers_as_alone() -> None:
    classifier = ICLClassifier(OverlapModel(), template="named").fit(TEXTS, LABELS)
    asked = [["double espresso"], ["green leaves", "milk"], ["mint"]]

    async def together() -> list[Any]:
        return await asyncio.gather(*map(classifier.predict_proba_async, asked))

    for found, texts in zip(asyncio.run(together()), asked, strict=True):
        assert found == pytest.approx(classifier.predict_proba(texts))
