"""Learners that choose one label, asked about every label of a multi-label task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evals.kinds import kind_named
from evals.learner import Context, for_task
from evals.relevance import answered_kinds, decisions
from evals.rundir import MAIN
from evals.runner import run
from evals.types import Answer, Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.catalog import LEARNERS
from tests.evals.fakes import Classifier, Spotter, sampler_of, task_of

INFO = TaskInfo("toy", "en", "multilabel", instruction="Say what it is about.")
LABELS = (Label("food", "food"), Label("host", "the host"))
SUPPORT = (
    Example("0", "warm soup and rice", ("food",)),
    Example("1", "a kind waiter", ("host",)),
    Example("2", "soup and a waiter", ("food", "host")),
    Example("3", "nothing to add", ()),
)
PROBLEM = Problem("p", INFO, LABELS, SUPPORT, (Query("q0", "warm soup"), Query("q1", "a kind waiter with soup")))


@pytest.mark.promise(119)
@pytest.mark.parametrize("spec", ["tfidf", "prototypes:encoder=lexical", "probe:encoder=lexical", "nn", "majority"])
def test_whatever_classifies_answers_multilabel_tasks(spec: str) -> None:
    learner = for_task(LEARNERS.build(spec), INFO)
    (done,) = learner.predict([PROBLEM], Context())
    assert done.problem_id == "p"
    for answer in done.answers:
        assert answer.status is Status.OK
        assert isinstance(answer.decision, tuple)
    if spec.startswith(("prototypes", "probe")):
        assert done.answers[0].decision == ("food",)


def test_a_decision_is_about_one_label_and_anything_else() -> None:
    food, host = decisions(PROBLEM)
    assert [row.label for row in sorted(food.support, key=lambda row: row.id)] == [
        "food",
        "not food",
        "food",
        "not food",
    ]
    assert [label.verbalizer for label in host.labels] == ["other", "the host"]
    assert host.task.instruction == "Say what it is about. Answer 'the host' or 'other'."
    assert food.id != host.id
    assert "해당 없음" in decisions(replace(PROBLEM, task=replace(INFO, language="ko-KR")))[0].task.instruction


def test_a_failed_decision_fails_the_answer() -> None:
    class Fails(Classifier):
        name = "fails"
        kinds = ("classification",)

        def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
            other, label = problem.labels
            found = Answer(None, Status.TIMEOUT, detail="late") if label.name == "host" else Answer(other.name)
            return [found, Answer(label.name)]

    (done,) = for_task(Fails(), INFO).predict([PROBLEM], Context())
    assert [(a.status, a.decision, a.detail) for a in done.answers] == [
        (Status.TIMEOUT, None, "late"),
        (Status.OK, ("food", "host"), ""),
    ]


@pytest.mark.parametrize(
    ("kinds", "meta", "answered"),
    [
        (("classification",), False, ("classification", "multilabel")),
        (("classification",), True, ("classification",)),
        (("classification", "multilabel"), False, ("classification", "multilabel")),
        (("tagging",), False, ("tagging",)),
        (None, False, None),
    ],
)
def test_kinds_that_are_answered(kinds: tuple[str, ...] | None, meta: bool, answered: tuple[str, ...] | None) -> None:
    assert answered_kinds(kinds, meta_trained=meta) == answered


def test_a_learner_that_answers_itself_is_left_alone() -> None:
    spotter = Spotter()
    assert for_task(spotter, INFO) is spotter
    assert for_task(LEARNERS.build("nn"), INFO).name == "nn"
    assert for_task(LEARNERS.build("tfidf"), replace(INFO, kind="classification")).describe().get("labels") is None


def test_a_run_of_a_multilabel_task(tmp_path: Path) -> None:
    done = run(LEARNERS.build("tfidf"), sampler_of("multilabel"), 3, run_dir=tmp_path / "r")
    assert done.config["learners"][MAIN]["labels"] == "a decision each"
    assert done.result["statuses"] == {"ok": done.result["n_queries"]}


@pytest.mark.parametrize(
    ("kind", "decided"),
    [("multilabel", tuple), ("tagging", tuple), ("generation", str)],
)
def test_the_most_frequent_answer_of_every_kind(kind: str, decided: type) -> None:
    episode = sampler_of(kind)[0]
    (done,) = for_task(LEARNERS.build("majority"), task_of(kind).info).predict([episode.problem], Context())
    for at, answer in enumerate(done.answers):
        assert isinstance(answer.decision, decided)
        assert answer.decision is not None
        assert kind_named(kind).check(answer.decision, episode.problem, at)


def test_most_frequent_labels_are_as_many_as_a_text_carries() -> None:
    (done,) = LEARNERS.build("majority").predict([PROBLEM], Context())
    assert len(done.answers[0].decision or ()) == 1
    rich = replace(PROBLEM, support=tuple(replace(row, label=("food", "host")) for row in SUPPORT))
    assert next(iter(LEARNERS.build("majority").predict([rich], Context()))).answers[0].decision == ("food", "host")
