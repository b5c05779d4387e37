"""Small labelled data, built in code, and learners whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence

from evals.learner import BaseLearner, Context
from evals.recommend.findings import Findings, weigh
from evals.recommend.splits import Splits, make_splits
from evals.recommend.trial import Trial
from evals.task import Task
from evals.types import Answer, Example, Label, Problem, TaskInfo


def task_of(counts: dict[str, int], language: str = "en", part: str = "all") -> Task:
    """A task with so many texts per class; every text ends with its class, and no two are near copies."""
    rows = tuple(
        Example(f"{name}{at}", f"text {'abcdefghij'[at % 10] * (1 + at // 10)} {chr(0x4E00 + at)} is {name}", name)
        for name, n in counts.items()
        for at in range(n)
    )
    return Task(TaskInfo("mine", language, "classification"), tuple(Label(name, name) for name in counts), {part: rows})


def last_word(text: str) -> str:
    return text.split()[-1]


class Reader(BaseLearner):
    """Reads the class off the text, but errs on texts that hold one of the given words."""

    name = "reader"

    def __init__(self, errs_on: Sequence[str] = ()) -> None:
        self.errs_on = tuple(errs_on)

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        names = sorted(label.name for label in problem.labels)
        return [
            Answer(
                next(name for name in names if name != last_word(query.text))
                if set(self.errs_on) & set(query.text.split())
                else last_word(query.text)
            )
            for query in problem.queries
        ]


def trial_of(spec: str, learner: BaseLearner, splits: Splits, **changes: object) -> Trial:
    """What a learner answers, without the clock."""
    answers = tuple(tuple(learner.solve(split.problem, Context())) for split in splits.splits)
    accuracy = tuple(
        sum(answer.decision == row.label for answer, row in zip(given, split.rows, strict=True)) / len(split.rows)
        for given, split in zip(answers, splits.splits, strict=True)
    )
    facts = {"baseline": False, "transductive": False, "seconds": 1.0, "usd": 0.0, **changes}
    return Trial(spec=spec, learner=learner, accuracy=accuracy, answers=answers, **facts)  # type: ignore[arg-type]


def findings_of(counts: dict[str, int], *learners: tuple[str, BaseLearner]) -> tuple[Findings, Splits, list[Trial]]:
    splits = make_splits(task_of(counts))
    trials = [trial_of(spec, learner, splits) for spec, learner in learners]
    return weigh(trials, splits), splits, trials
