"""What a second Ray worker is worth: problems per second of two local workers against one thread, start-up excluded.

    python benchmarks/engines.py [--learner SPEC] [--task NAME] [--problems N]

Every process has one thread. The clock starts when every worker has answered its first problem. Prints one JSON line;
the goal is a ratio of 1.7.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is imported, and handed on to the workers

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

from evals.engines import spread
from evals.episode import EpisodeSampler
from evals.learner import Background, BaseLearner, Context, Learner
from evals.loading import load_task
from evals.types import Prediction, Problem
from fewshot.core.catalog import LEARNERS

WORKERS = 2
GOAL = 1.7


class Signed(BaseLearner):
    """A learner whose predictions carry the id of the process that answered, in their notes."""

    name = "signed"

    def __init__(self, spec: str) -> None:
        self._learner: Learner = LEARNERS.build(spec)

    def prepare(self, background: Background, ctx: Context) -> None:
        self._learner.prepare(background, ctx)

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        for found in self._learner.predict(problems, ctx):
            yield replace(found, trace=replace(found.trace, notes=(str(os.getpid()),)))


def rate(learner: Learner, problems: Iterable[Problem], n: int, processes: int) -> tuple[float, list[Prediction]]:
    """Problems per second over the `n` that follow once every process has answered one; all predictions."""
    ctx = Context(device="cpu")
    learner.prepare(Background(), ctx)
    answered: list[Prediction] = []
    started, first = 0.0, 0
    for prediction in learner.predict(problems, ctx):
        answered.append(prediction)
        if not first and len({each.trace.notes for each in answered}) == processes:
            started, first = time.perf_counter(), len(answered)
        if first and len(answered) - first == n:
            break
    return n / (time.perf_counter() - started), answered


def main() -> None:
    """Measure both, and compare what they answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learner", default="icl")
    parser.add_argument("--task", default="intents-en")
    parser.add_argument("--problems", type=int, default=30)
    options = parser.parse_args()
    sampler = EpisodeSampler(load_task(options.task), way=3, shot=1, query=1, seed=0)
    build = partial(Signed, options.learner)
    learner = build()
    drawn = (sampler[at].problem for at in count())
    two, theirs = rate(spread(learner, build, f"ray:{WORKERS}"), drawn, options.problems, WORKERS)
    one, ours = rate(learner, (sampler[at].problem for at in count()), options.problems, 1)
    result = {
        "benchmark": "engines",
        "learner": options.learner,
        "workers": WORKERS,
        "problems": options.problems,
        "local_per_second": round(one, 2),
        "ray_per_second": round(two, 2),
        "ratio": round(two / one, 2),
        "goal": GOAL,
        "same_answers": _agree(ours, theirs),
    }
    print(json.dumps(result))


def _agree(some: Sequence[Prediction], others: Sequence[Prediction]) -> bool:
    """Whether the answers to the problems that both answered are the same."""
    known = {each.problem_id: each.answers for each in some}
    return all(known.get(each.problem_id, each.answers) == each.answers for each in others)


if __name__ == "__main__":
    main()
