"""Texts with any number of labels, answered by learners that choose one: a decision per label, whether it holds.

Binary relevance (Tsoumakas and Katakis 2007, "Multi-label classification: an overview"). Each decision is a
classification of two classes, the label and anything else, so that whatever classifies answers multi-label tasks too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from evals.learner import Background, Context, Estimate, Learner, MetaLearner
from evals.rounds import in_rounds
from evals.types import Answer, Label, Phase, Prediction, Problem, Status, TaskInfo, Usage
from fewshot.core.hashing import digest

_ONE, _SEVERAL = "classification", "multilabel"
#: The words for anything else than the label, and what is asked, by language.
_OTHER = {"ko": "해당 없음", "en": "other"}
_ASKED = {"ko": "답은 {word!r} 또는 {other!r}입니다.", "en": "Answer {word!r} or {other!r}."}


def answered_kinds(kinds: Collection[str] | None, *, meta_trained: bool = False) -> tuple[str, ...] | None:
    """The kinds of task that a learner answers, by decisions too; None where it does not say.

    Args:
        kinds: that it declares.
        meta_trained: whether it is trained on other classes first, where decisions have no classes in common.
    """
    if kinds is None or meta_trained or _ONE not in kinds or _SEVERAL in kinds:
        return None if kinds is None else tuple(kinds)
    return (*kinds, _SEVERAL)


def by_decisions(learner: Learner, task: TaskInfo) -> Learner:
    """The learner for a task: where that has several labels per text and the learner knows one, by decisions."""
    kinds = getattr(learner, "kinds", None)
    if task.kind != _SEVERAL or kinds is None or _SEVERAL in kinds or isinstance(learner, MetaLearner):
        return learner
    return Decisions(learner) if _ONE in kinds else learner


@dataclass(eq=False)
class Decisions:
    """A learner that asks another one about every label.

    Args:
        learner: answers classifications.
    """

    learner: Learner
    kinds: ClassVar[tuple[str, ...]] = (_SEVERAL,)

    def __post_init__(self) -> None:
        self.name = self.learner.name

    @property
    def transductive(self) -> bool:
        return self.learner.transductive

    def prepare(self, background: Background, ctx: Context) -> None:
        self.learner.prepare(background, ctx)

    def describe(self) -> dict[str, Any]:
        return {**self.learner.describe(), "labels": "a decision each"}

    def estimate(self, problems: Sequence[Problem], n_problems: int, ctx: Context) -> Estimate:
        asked = [one for problem in problems for one in decisions(problem)]
        times = len(asked) / len(problems) if problems else 0
        return self.learner.estimate(asked, round(n_problems * times), ctx)

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer each problem as soon as all of its decisions are made."""
        waiting: dict[str, _Waiting] = {}

        def asked() -> Iterator[Problem]:
            for problem in problems:
                several = decisions(problem)
                whole = _Waiting(problem, {one.id: at for at, one in enumerate(several)}, [None] * len(several))
                for one in several:
                    waiting[one.id] = whole
                    yield one

        for prediction in self.learner.predict(asked(), ctx):
            whole = waiting.pop(prediction.problem_id)
            if whole.complete(prediction):
                yield whole.prediction()


def decisions(problem: Problem) -> list[Problem]:
    """A problem per label: the label, or anything else?"""
    return [_decision(problem, label) for label in problem.labels]


def _decision(problem: Problem, label: Label) -> Problem:
    task = problem.task
    language = "ko" if task.language.split("-")[0] == "ko" else "en"
    other = Label(f"not {label.name}", _OTHER[language])
    question = _ASKED[language].format(word=label.verbalizer, other=other.verbalizer)
    return Problem(
        id=digest([problem.id, label.name]),
        task=replace(task, kind=_ONE, instruction=f"{task.instruction} {question}".strip()),
        labels=(other, label),
        support=in_rounds(
            replace(row, label=label.name if label.name in (row.label or ()) else other.name) for row in problem.support
        ),
        queries=problem.queries,
    )


@dataclass
class _Waiting:
    """A problem and what was decided of its labels so far."""

    problem: Problem
    positions: dict[str, int]
    found: list[Prediction | None]

    def complete(self, prediction: Prediction) -> bool:
        """Take one more; whether it was the last."""
        self.found[self.positions[prediction.problem_id]] = prediction
        return all(self.found)

    def prediction(self) -> Prediction:
        decided = [each for each in self.found if each is not None]
        usage: dict[Phase, Usage] = {}
        for phase, used in (item for each in decided for item in each.usage.items()):
            usage[phase] = usage.get(phase, Usage()) + used
        answers = zip(*(each.answers for each in decided), strict=True)
        return Prediction(self.problem.id, tuple(_joined(self.problem.labels, each) for each in answers), usage)


def _joined(labels: Sequence[Label], decided: Sequence[Answer]) -> Answer:
    """The labels that hold; the first failure where some decision failed."""
    failed = next((answer for answer in decided if answer.status is not Status.OK), None)
    if failed is not None:
        return Answer(None, failed.status, detail=failed.detail)
    pairs = zip(labels, decided, strict=True)
    return Answer(tuple(sorted(label.name for label, answer in pairs if answer.decision == label.name)))
