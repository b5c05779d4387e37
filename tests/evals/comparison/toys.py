"""A task whose texts do not tell their class, and learners that know a stated share of the answers."""

from __future__ import annotations

from collections.abc import Sequence

from evals.learner import BaseLearner, Context
from evals.task import Task
from evals.types import Answer, Example, Problem, TaskInfo
from tests.evals.fakes import labels, number

N_CLASSES = 6


def label_of(text: str) -> str:
    return f"c{number(text, N_CLASSES)}"


def riddles(n_rows: int = 240) -> Task:
    texts = [f"riddle {at}" for at in range(n_rows)]
    rows = tuple(Example(f"r{at}", text, label_of(text)) for at, text in enumerate(texts))
    return Task(TaskInfo("riddles", "en", "classification"), labels(N_CLASSES), {"all": rows})


class Knowing(BaseLearner):
    """Knows the answer to `share` per cent of the texts, and to `per_shot` per cent more with every shot."""

    name = "fake-knowing"

    def __init__(self, share: int, per_shot: int = 0) -> None:
        self.share = share
        self.per_shot = per_shot

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        known = self.share + self.per_shot * len(problem.support) // len(problem.labels)
        names = [label.name for label in problem.labels]
        return [
            Answer(names[(names.index(label_of(query.text)) + (number(query.text, 100) >= known)) % len(names)])
            for query in problem.queries
        ]
