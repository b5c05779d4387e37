"""Selectors and orderings that ask the language model, against what a model that is followed by eye would say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from evals.learner import Context
from evals.types import Example, Query
from fewshot.core.catalog import ORDERINGS, SELECTORS
from fewshot.core.errors import UsageError
from fewshot.core.seeds import random_state
from icl.entropy import Entropy, _orders
from icl.learner import ICLLearner
from icl.models.base import ContinuationScore, Prompt
from icl.prompt import PromptBuilder
from icl.selectors import Pick, Pool
from icl.selectors.cone import ConE
from icl.selectors.knn import KNN
from icl.selectors.mdl import MDL
from tests.icl.fakes import TASK, OverlapModel, flat, overlap, problem
from tests.icl.test_selectors import Letters


@dataclass
class Guided(OverlapModel):
    """Scores a continuation, per character, as `says` of what stands before it."""

    says: Callable[[str, str], float] = lambda before, text: overlap(before.rpartition("\n\n")[0], text) - 1

    def _score(self, prompt: Prompt, continuation: str) -> ContinuationScore:
        ids = tuple(map(ord, continuation))
        return ContinuationScore(ids, (self.says(flat(prompt), continuation),) * len(ids), len(ids))


def demonstrations(learner: ICLLearner, **asked: Any) -> list[tuple[str, ...]]:
    (prediction,) = learner.predict([problem(**asked)], Context())
    return [tuple(ids) for ids in prediction.trace.demonstrations]


def test_cone_takes_what_makes_the_query_least_surprising() -> None:
    asked, model = problem(), Guided()

    def surprise(row: Example, text: str) -> float:
        prompt = PromptBuilder(TASK.template, TASK).example(row.text, str(row.label)).build(text).text
        return -len(text) * model.says(prompt[: prompt.rindex(text)], text)

    for m in (1, 3):
        shown = demonstrations(ICLLearner(model, selector=ConE(Letters()), demos=m, order="given"))
        for query, ids in zip(asked.queries, shown, strict=True):
            expected = sorted(asked.support, key=lambda row: round(surprise(row, query.text), 3))
            assert ids == tuple(row.id for row in expected[:m])


def test_cone_asks_about_the_nearest_alone() -> None:
    model = Guided()
    list(ICLLearner(model, selector=ConE(Letters(), fetch=1), demos=1).predict([problem()], Context()))
    asked = problem()
    texts = {query.text for query in asked.queries}
    read = [text for request in model.asked for text in request.continuations if text in texts]
    assert len(read) == len(asked.queries)


def test_an_example_that_does_not_fit_comes_last() -> None:
    long = "x " * 400
    support = (("strong coffee", "coffee"), (long, "coffee"), ("green tea", "tea"))
    model = Guided(context_length=700)
    shown = demonstrations(ICLLearner(model, selector=ConE(Letters()), demos=2, order="given"), support=support)
    assert all("s1" not in ids for ids in shown)


def test_entropy_takes_the_order_that_spreads_the_answers() -> None:
    """The model says tea to everything, unless the first demonstration is the second of the support."""
    support = (("hot coffee", "coffee"), ("iced coffee", "coffee"), ("hot tea", "tea"), ("iced tea", "tea"))

    def says(before: str, text: str) -> float:
        fair = before.find("iced coffee") < min(before.find(each) for each in ("hot coffee", "hot tea", "iced tea"))
        asked = before.rpartition("\n\n")[2]
        if fair:
            return 0.0 if ("tea" in text) == ("tea" in asked) else -1.0
        return 0.0 if "tea" in text else -1.0

    (ids, *_) = demonstrations(ICLLearner(Guided(says=says), order="entropy"), support=support)
    assert ids[0] == "s1"
    assert len(ids) == 4


@pytest.mark.parametrize("fetch", [2, 30])
@pytest.mark.parametrize("m", [1, 2])
def test_mdl_takes_the_set_and_the_order_that_make_the_answer_briefest(m: int, fetch: int) -> None:
    """The model is the surer the further on in the alphabet the first letter of the first demonstration is."""
    support = (("dark coffee", "coffee"), ("weak coffee", "coffee"), ("black tea", "tea"), ("cold tea", "tea"))

    def says(before: str, text: str) -> float:
        first = next(row for row, _ in sorted(support, key=lambda row: before.find(row[0]) % 10**6))
        return -0.01 * (ord(first[0]) - ord("a")) * ("tea" in text)

    asked, selector = problem(support=support), MDL(Letters(), fetch=fetch, sets=200)
    shown = demonstrations(ICLLearner(Guided(says=says), selector=selector, demos=m, order="given"), support=support)
    candidates = KNN(Letters()).select(asked.queries, Pool(asked.support), fetch)
    for near, ids in zip(candidates, shown * (len(candidates) // len(shown)), strict=True):
        assert ids[0] == max((pick.example for pick in near), key=lambda row: row.text).id
        assert len(set(ids)) == m


def test_mdl_draws_different_sets_the_nearest_first_and_balanced_where_wanted() -> None:
    near = [Pick(Example(str(at), "", "ab"[at > 5])) for at in range(8)]
    sets = MDL(Letters(), sets=30)._sets(near, 4, (0,))
    assert [pick.example.id for pick in sets[0]] == ["0", "1", "2", "3"]
    assert len({tuple(pick.example.id for pick in each) for each in sets}) == len(sets) > 20
    for each in MDL(Letters(), sets=30, balanced=True)._sets(near, 4, (0,)):
        assert sorted(str(pick.example.label) for pick in each) == ["a", "a", "b", "b"]
    assert len(MDL(Letters(), sets=30)._sets(near[:2], 4, (0,))) == 2
    assert MDL(Letters())._sets(near, 0, ()) == [[]]


@pytest.mark.parametrize("of", ["global", "local"])
def test_the_spread_is_that_of_the_definition(of: Any) -> None:
    shares = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    entropy = lambda row: -sum(share * math.log(share) for share in row)  # noqa: E731
    expected = entropy((2 / 3, 1 / 3)) if of == "global" else np.mean([entropy(row) for row in shares])
    assert Entropy(of=of)._entropy(shares) == pytest.approx(expected)


def test_every_order_is_tried_where_there_are_few_and_different_ones_where_there_are_many() -> None:
    few = _orders([1, 2, 3], 24, random_state(0))  # type: ignore[list-item]
    assert sorted(map(tuple, few)) == sorted(permutations([1, 2, 3]))
    many = _orders(list(range(8)), 24, random_state(0))  # type: ignore[arg-type]
    assert len({tuple(order) for order in many}) == 24


@pytest.mark.parametrize(
    ("parts", "model", "says"),
    [
        ({"selector": "cone"}, OverlapModel(scores=False), "asks how probable texts are, which overlap does not tell"),
        ({"order": "entropy"}, OverlapModel(scores=False), "asks how probable texts are, which overlap does not tell"),
        ({"selector": "cone", "format": "chat"}, Guided(), "use --format completion"),
        ({"order": "entropy"}, Guided(context_length=150), "needs room for all demonstrations"),
        ({"order": "entropy:orders=0"}, Guided(), "orders=0 is too small"),
        ({"order": "entropy:of=both"}, Guided(), "unknown entropy 'both'"),
        ({"selector": "mdl"}, OverlapModel(scores=False), "asks how probable texts are, which overlap does not tell"),
        ({"selector": "mdl"}, Guided(context_length=150), "needs room for all demonstrations"),
        ({"selector": "mdl:sets=0"}, Guided(), "sets=0 is too small"),
        ({"selector": "cone:fetch=0"}, Guided(), "fetch=0 is no number of examples"),
    ],
)
def test_what_cannot_be_asked_is_told(parts: dict[str, Any], model: OverlapModel, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        list(ICLLearner(model, **parts, encoder="lexical").predict([problem()], Context()))


def test_without_a_learner_there_is_no_model() -> None:
    for work in (
        lambda: SELECTORS.build("cone", encoder=Letters()).select(["x"], Pool([{"text": "a"}]), 1),
        lambda: SELECTORS.build("mdl", encoder=Letters()).select(["x"], Pool([{"text": "a"}]), 1),
        lambda: ORDERINGS.build("entropy").order([Pick(Example("s", "a"))], Query("q", "x")),
    ):
        with pytest.raises(UsageError, match="asks a language model: use it in icl run"):
            work()
