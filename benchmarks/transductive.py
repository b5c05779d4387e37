"""What reading all queries together is worth: transductive learners beside prototypes, on the same episodes.

    python benchmarks/transductive.py                        every set, 1 and 5 shots, queries balanced and not
    python benchmarks/transductive.py --choice               the sets and parts that defaults were chosen by
    python benchmarks/transductive.py --sets agnews --shots 1 --episodes 20

Prints one JSON line per set, number of shots and balance of the queries: accuracy, and the paired difference from
prototypes with as many label names, both with intervals over episodes. 5 classes (agnews: 4), 15 queries per class, or
as many in proportions of Dirichlet(2); with the names of the labels as one more text per class, and without.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from evals.episode import Episode, EpisodeSampler
from evals.kinds import kind_named
from evals.learner import Context, for_task
from evals.loading import load_task
from evals.stats import Interval, score_interval, t_interval
from fewshot.core.catalog import LEARNERS

#: Set to part. No default was chosen by the texts of the first ones.
TESTS = {"banking77": "test", "hwu64": "test", "liu54": "test", "sib200[ko]": "test", "agnews": "test"}
CHOICE = {"banking77": "valid", "hwu64": "valid", "liu54": "valid", "ynat": "train"}
BASE, NAMELESS = "prototypes", ":names=none"
FAMILY = (BASE, "soft-kmeans", "laplacianshot", "alpha-tim", "transport")
#: What is told that classes are equally frequent: good where that is so.
TOLD = "transport:balance=equal"
SPECS = (*FAMILY, TOLD, *(f"{learner}{NAMELESS}" for learner in FAMILY))
BALANCES = ("equal", "dirichlet:2")


def main() -> None:
    """Measure what the arguments name, and print a line as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", metavar="SET")
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--choice", action="store_true", help="the sets that defaults were chosen by instead")
    wanted = parser.parse_args()
    parts = CHOICE if wanted.choice else TESTS
    for name in wanted.sets or parts:
        task = load_task(name)
        for shot in wanted.shots:
            for balance in BALANCES:
                sampler = EpisodeSampler.of(task, None, shot, 15, part=parts[name], query_balance=balance)
                print(json.dumps(measured(sampler, list(sampler.take(wanted.episodes)))), flush=True)


def measured(sampler: EpisodeSampler, episodes: Sequence[Episode]) -> dict[str, Any]:
    """The record of these episodes."""
    scores = {spec: _accuracies(sampler, episodes, spec) for spec in SPECS}
    return {
        "benchmark": "transductive",
        "set": sampler.task.name,
        "part": sampler.part,
        "balance": sampler.query_balance,
        "way": sampler.way,
        "shot": sampler.shot,
        "episodes": len(episodes),
        "learners": {spec: _figures(score_interval(found)) for spec, found in scores.items()},
        "over_prototypes": {
            spec: _figures(t_interval([one - other for one, other in zip(found, scores[base_of(spec)], strict=True)]))
            for spec, found in scores.items()
            if base_of(spec) != spec
        },
    }


def base_of(spec: str) -> str:
    """The prototypes that a learner is held against: those that read label names where it does."""
    return f"{BASE}{NAMELESS}" if spec.endswith(NAMELESS) else BASE


def _accuracies(sampler: EpisodeSampler, episodes: Sequence[Episode], spec: str) -> list[float]:
    """The accuracy of every episode."""
    ctx, task = Context(notify=lambda message: print(f"{spec}: {message}", file=sys.stderr)), sampler.task
    learner = for_task(LEARNERS.build(spec), task.info, task.labels)
    answers = {done.problem_id: done.answers for done in learner.predict((each.problem for each in episodes), ctx)}
    score = kind_named(task.info.kind).score
    return [sum(map(score, answers[each.id], each.gold)) / len(each.gold) for each in episodes]


def _figures(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.mean, interval.low, interval.high)]


if __name__ == "__main__":
    main()
