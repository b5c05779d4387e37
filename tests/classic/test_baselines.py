"""The zero-training baselines against their definitions, and what they must not look at."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier

from classic.baselines import Chance, LexicalPrototypes, Majority, NearestNeighbour
from evals.learner import Background, Context, Learner
from evals.types import Answer, Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError
from fewshot.encoders import Lexical

NAMES = ("chance", "majority", "nn", "tfidf")
TASK = TaskInfo("toy", "en", "classification")
SUPPORT = {
    "card": ["my card is lost", "where is my new card"],
    "bank": ["open a bank account", "the bank branch is closed"],
    "배송": ["배송이 너무 늦어요", "배송 언제 오나요"],
}
QUERIES = ["the card is here", "a bank near me", "배송이 왔어요", "", "zzz"]


def make_problem(support=SUPPORT, queries=QUERIES, labels=None, kind="classification"):
    rows = [(label, text) for rank in range(9) for label, texts in support.items() for text in texts[rank : rank + 1]]
    return Problem(
        id="p" * 64,
        task=replace(TASK, kind=kind),
        labels=tuple(Label(name, name) for name in labels or support),
        support=tuple(Example(f"s{at}", text, label) for at, (label, text) in enumerate(rows)),
        queries=tuple(Query(f"q{at}", text) for at, text in enumerate(queries)),
    )


def answers(learner, problem, seed=0) -> tuple[Answer, ...]:
    (prediction,) = learner.predict([problem], Context(seed=seed))
    assert prediction.problem_id == problem.id
    return prediction.answers


def decisions(learner, problem, seed=0):
    return [answer.decision for answer in answers(learner, problem, seed)]


@pytest.mark.parametrize("name", NAMES)
def test_every_baseline_is_a_learner(name):
    learner = LEARNERS.build(name, seed=0, device="cpu")
    assert isinstance(learner, Learner)
    assert learner.name == name
    assert not learner.transductive
    assert LEARNERS.entry(name).baseline
    assert json.loads(json.dumps(learner.describe()))["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_labels_with_normalised_scores(name):
    problem = make_problem()
    for answer in answers(LEARNERS.build(name), problem):
        assert answer.status is Status.OK
        assert answer.decision in SUPPORT
        if answer.scores is None:
            assert answer.score_kind == "none"
        else:
            assert answer.score_kind == "logprob"
            assert sum(exp(score) for score in answer.scores) == pytest.approx(1)
            best = problem.labels[int(np.argmax(answer.scores))].name
            assert name in ("chance", "majority") or answer.decision == best


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_answers(name):
    problem = make_problem()
    assert answers(LEARNERS.build(name), problem, 7) == answers(LEARNERS.build(name), problem, 7)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "majority"])
def test_other_kinds_are_refused_at_once(name):
    with pytest.raises(UsageError, match="kind 'tagging'"):
        answers(LEARNERS.build(name), make_problem(kind="tagging"))


@pytest.mark.parametrize("name", NAMES)
def test_a_learner_stops_when_it_is_told_to(name):
    ctx = Context()
    ctx.cancel.set()
    assert list(LEARNERS.build(name).predict([make_problem()], ctx)) == []


def test_chance_is_uniform_over_the_labels():
    problem = make_problem(queries=[str(n) for n in range(6000)])
    counts = Counter(decisions(Chance(), problem))
    assert counts.keys() == SUPPORT.keys()
    # 6 standard deviations around 2000.
    assert all(abs(count - 2000) < 220 for count in counts.values())
    assert decisions(Chance(), problem, 0) != decisions(Chance(), problem, 1)


def test_majority_counts_the_support():
    problem = make_problem({"a": ["x"], "b": ["y", "z"]})
    assert decisions(Majority(), problem) == ["b"] * len(QUERIES)
    assert [exp(score) for score in answers(Majority(), problem)[0].scores or ()] == pytest.approx([2 / 5, 3 / 5])


def test_ties_of_majority_are_broken_by_the_seed_and_not_by_order():
    problem = make_problem()
    reordered = replace(problem, labels=problem.labels[::-1], support=problem.support[::-1])
    per_seed = [decisions(Majority(), problem, seed) for seed in range(30)]
    assert per_seed == [decisions(Majority(), reordered, seed) for seed in range(30)]
    assert {choice for choices in per_seed for choice in choices} == SUPPORT.keys()
    assert all(len(set(choices)) == 1 for choices in per_seed)


@pytest.fixture(params=[(), ("the card is a card", "the bank", "is it late")], ids=["support only", "background"])
def background(request):
    return Background(request.param)


def encoder_for(background, problem):
    return Lexical().fit(background.texts or [example.text for example in problem.support])


def test_nearest_neighbour_is_that_of_scikit_learn(background):
    problem = make_problem(queries=QUERIES[:3])
    learner = NearestNeighbour()
    learner.prepare(background, Context())
    encoder = encoder_for(background, problem)
    oracle = KNeighborsClassifier(1, metric="cosine").fit(
        encoder.encode([e.text for e in problem.support]), [e.label for e in problem.support]
    )
    assert decisions(learner, problem) == oracle.predict(encoder.encode(QUERIES[:3])).tolist()


def test_prototypes_are_class_means_compared_by_cosine(background):
    problem = make_problem(queries=QUERIES[:3])
    learner = LexicalPrototypes()
    learner.prepare(background, Context())
    encoder = encoder_for(background, problem)
    support = encoder.encode([e.text for e in problem.support]).toarray()
    means = [support[[e.label == label.name for e in problem.support]].mean(axis=0) for label in problem.labels]
    expected = cosine_similarity(encoder.encode(QUERIES[:3]).toarray(), means) / 0.06
    expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose([answer.scores for answer in answers(learner, problem)], expected, atol=1e-4)
    assert decisions(learner, problem) == list(SUPPORT)


def test_a_text_without_a_known_word_has_uniform_scores():
    *_, empty, unknown = answers(LexicalPrototypes(), make_problem())
    for answer in (empty, unknown):
        assert [exp(score) for score in answer.scores or ()] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("name", ["nn", "tfidf"])
def test_without_support_there_is_no_answer(name):
    found = answers(LEARNERS.build(name), make_problem({}, labels=["a", "b"]))
    assert {answer.status for answer in found} == {Status.ERROR}
    assert "at least one support text" in found[0].detail


@given(st.permutations(range(6)), st.permutations(range(3)))
@settings(max_examples=20, deadline=None)
def test_prototypes_do_not_depend_on_the_order_of_support_or_labels(support_order, label_order):
    problem = make_problem()
    reordered = replace(
        problem,
        support=tuple(problem.support[at] for at in support_order),
        labels=tuple(problem.labels[at] for at in label_order),
    )
    for one, other in zip(answers(LexicalPrototypes(), problem), answers(LexicalPrototypes(), reordered), strict=True):
        assert one.scores is not None
        np.testing.assert_allclose([one.scores[at] for at in label_order], other.scores, atol=1e-4)


class Recording(Lexical):
    """A lexical encoder that notes which texts it is fitted on."""

    def __init__(self):
        super().__init__()
        self.fitted_on: list[str] = []

    def fit(self, texts):
        self.fitted_on.extend(texts)
        return self


@pytest.mark.parametrize("learner", [NearestNeighbour, LexicalPrototypes])
def test_queries_never_reach_fit(learner, background):
    encoder = Recording()
    built = learner(encoder)
    built.prepare(background, Context())
    answers(built, make_problem())
    assert set(encoder.fitted_on) == set(background.texts or [text for texts in SUPPORT.values() for text in texts])


def test_importing_the_baselines_loads_nothing_heavy():
    program = (
        "import sys, classic.baselines\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"
