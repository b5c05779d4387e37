"""How long a report takes, and how large it is. Prints one JSON line.

report   600 episodes, 8 learners, 5 shots, from stored runs to one HTML file. Answers are drawn, not computed.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evals.comparison import Comparison, compare
from evals.learner import BaseLearner, Context
from evals.report import write_report
from evals.task import Task
from evals.types import Answer, Example, Label, Problem, TaskInfo
from fewshot.core.seeds import random_state

SHOTS, N_EPISODES, N_OWN = (1, 2, 4, 8, 16), 600, 4
N_CLASSES, N_TEXTS, WAY, QUERY = 20, 60, 5, 5


class Drawn(BaseLearner):
    """Gives each label a random score; the share that is right grows with the shots."""

    name = "drawn"

    def __init__(self, skill: float) -> None:
        self.skill = skill

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        random = random_state(problem.id, self.skill)
        names = [label.name for label in problem.labels]
        lift = self.skill * math.log2(1 + len(problem.support) / len(names))
        answers = []
        for query in problem.queries:
            logits = random.normal(size=len(names))
            logits[[name in query.text for name in names].index(True)] += lift
            scores = logits - np.logaddexp.reduce(logits)
            best = names[int(scores.argmax())]
            given, raw = tuple(scores.tolist()), tuple(logits.tolist())
            answers.append(Answer(best, scores=given, score_kind="logprob", raw=raw))
        return answers


def texts() -> Task:
    labels = tuple(Label(f"class-{at:02}", f"class {at}") for at in range(N_CLASSES))
    rows = tuple(
        Example(f"{label.name}/{at}", f"text {at} of {label.name}, as long as a usual request is", label.name)
        for label in labels
        for at in range(N_TEXTS)
    )
    return Task(TaskInfo("drawn", "en", "classification"), labels, {"all": rows})


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, page = Path(name) / "comparison", Path(name) / "report.html"
        learners = {f"learner {at}": Drawn(0.4 + 0.3 * at) for at in range(N_OWN)}
        compare(texts(), learners, way=WAY, shot=SHOTS, query=QUERY, episodes=N_EPISODES, folder=folder)
        started = time.perf_counter()
        comparison = Comparison.read([folder])
        read = time.perf_counter() - started
        started = time.perf_counter()
        write_report(comparison, page)
        written = time.perf_counter() - started
        size = page.stat().st_size / 2**20
    found = {"episodes": N_EPISODES, "learners": len(comparison.analyses[0].standings), "shots": len(SHOTS)}
    figures = {"seconds": round(written, 2), "read_and_analyse_seconds": round(read, 2), "megabytes": round(size, 2)}
    print(json.dumps({"benchmark": "report", **found, **figures}))


if __name__ == "__main__":
    main()
