"""The budget drops whole demonstrations, never the instruction or the query, and equally for all labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.learner import Context
from evals.types import Example, Status
from icl.budget import TokenBudget, most_wanted
from icl.learner import ICLLearner
from icl.models.base import Prompt
from icl.selectors import Pick
from tests.icl.fakes import TASK, OverlapModel, blocks, flat, problem


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(0, 300), st.integers(0, 20))
def test_keeps_as_many_as_fit(lengths: list[int], context: int, reserve: int) -> None:
    def prompts(k: int) -> list[Prompt]:
        return [Prompt("q" * 20 + "d" * sum(lengths[:k])), Prompt("q")]

    fitting = [k for k in range(len(lengths) + 1) if 20 + sum(lengths[:k]) + reserve <= context]
    kept = TokenBudget(OverlapModel(context_length=context), reserve).keep(len(lengths), prompts)
    assert kept == (max(fitting) if fitting else None)


@pytest.mark.parametrize(("text", "context", "fits"), [("a" * 100, 1000, True), ("가" * 10**6, 100, False)])
def test_what_is_obvious_is_not_tokenised(text: str, context: int, fits: bool) -> None:
    class Uncountable(OverlapModel):
        def count_tokens(self, prompt):
            raise AssertionError("there is no need to count")

    kept = TokenBudget(Uncountable(context_length=context), 1).keep(0, lambda k: [Prompt(text)])
    assert (kept == 0) is fits


@pytest.mark.parametrize(
    ("labels", "similarities", "kept"),
    [
        ("aabb", None, ["s0", "s2", "s1", "s3"]),
        ("abab", None, ["s0", "s1", "s2", "s3"]),
        ("aabb", [0.9, 0.8, 0.7, 0.6], ["s0", "s1", "s2", "s3"]),
    ],
    ids=["classes-in-turn", "rounds", "by-similarity"],
)
def test_what_is_kept_first(labels, similarities, kept) -> None:
    similarities = similarities or [None] * len(labels)
    picks = [
        Pick(Example(f"s{at}", "x", label), similarity)
        for at, (label, similarity) in enumerate(zip(labels, similarities, strict=True))
    ]
    assert [pick.example.id for pick in most_wanted(picks)] == kept


@pytest.mark.parametrize("format", ["completion", "chat"])
@pytest.mark.parametrize("context", [190, 150, 110, 75])
def test_pitfall_12_whole_demonstrations_go_and_all_labels_see_the_same(format, context: int) -> None:
    asked = problem(queries=("short", "a rather longer order of espresso"))
    model = OverlapModel(context_length=context)
    [prediction] = ICLLearner(model, format=format).predict([asked], Context())
    n_dropped = prediction.trace.n_dropped
    assert max(n_dropped) > 0
    for request in model.asked:
        assert len(request.continuations) == 2
        assert TASK.instruction in flat(request.prompt)
        *shown, query = blocks(request.prompt)
        whole = [f"Order: {row.text}\nDrink:" for row in asked.support]
        assert all(any(piece in block for piece in whole) for block in shown if "Order" in block)
        assert query.endswith("Drink:")
    assert any("had no room for" in note for note in prediction.trace.notes)


def test_longest_label_decides_for_all() -> None:
    plain = problem()
    wordy = replace(plain, labels=(plain.labels[0], replace(plain.labels[1], verbalizer="tea " * 15)))
    dropped = []
    for asked in (plain, wordy):
        learner = ICLLearner(OverlapModel(context_length=220), selector="all")
        [prediction] = learner.predict([asked], Context())
        dropped.append(max(prediction.trace.n_dropped))
    assert dropped[1] > dropped[0]


def test_a_query_that_does_not_fit_is_its_own_failure() -> None:
    asked = problem(queries=("espresso", "x" * 500, "leaves"))
    [prediction] = ICLLearner(OverlapModel(context_length=300)).predict([asked], Context())
    assert [answer.status for answer in prediction.answers] == [Status.OK, Status.CONTEXT_EXCEEDED, Status.OK]
    assert "300 tokens" in prediction.answers[1].detail
    assert prediction.trace.prompt_hashes[1] == ""


def test_nothing_fits() -> None:
    [prediction] = ICLLearner(OverlapModel(context_length=10)).predict([problem()], Context())
    assert {answer.status for answer in prediction.answers} == {Status.CONTEXT_EXCEEDED}
