"""The gate: every learner that is trained on other classes, beside the frozen prototypes that it starts from.

    python benchmarks/family.py                                  five sets, 1 and 5 shots; an hour or two
    python benchmarks/family.py --sets hwu64 --shots 1 --learners relation siamese

Prints one JSON line per set, shot and learner: accuracy on 5-way episodes of test classes, and the paired difference
to prototypes on the same episodes. Exits with 1 where a learner is significantly below them, at 5 percent over all
comparisons of the run (Bonferroni).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from evals.episode import Episode, EpisodeSampler
from evals.kinds import kind_named
from evals.learner import Context, Learner
from evals.loading import load_task
from evals.metatrain import ensure_trained
from evals.stats import score_interval, t_interval
from fewshot.core.catalog import LEARNERS

#: What is tested, and the arguments of its learners. On news headlines they are trained on requests: other labels.
SETS = {
    "banking77": "encoder=minilm",
    "hwu64": "encoder=minilm",
    "liu54": "encoder=minilm",
    "intents-ko": "encoder=e5-small",
    "ynat": "encoder=e5-small,train=intents-ko",
}
FAMILY = [
    name
    for name, entry in LEARNERS.entries().items()
    if entry.target.startswith("classic.algorithms.") and entry.kinds and "classification" in entry.kinds
]


def main() -> int:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--learners", nargs="+", default=FAMILY, metavar="SPEC")
    parser.add_argument("--episodes", type=int, default=300)
    wanted = parser.parse_args()
    comparisons = len(wanted.sets) * len(wanted.shots) * len(wanted.learners)
    below = []
    for name in wanted.sets:
        task = load_task(name)
        for shot in wanted.shots:
            sampler = EpisodeSampler.of(task, way=5, shot=shot, query=15)
            episodes = [sampler[at] for at in range(wanted.episodes)]
            base = _measured(sampler, episodes, f"prototypes:{SETS[name].partition(',')[0]}")
            _print(name, shot, "prototypes", base, None, comparisons)
            for learner in wanted.learners:
                found = _measured(sampler, episodes, f"{learner}{',' if ':' in learner else ':'}{SETS[name]}")
                if _print(name, shot, learner, found, base, comparisons):
                    below.append(f"{learner} on {name} at {shot}")
    if below:
        print(f"significantly below prototypes: {'; '.join(below)}", file=sys.stderr)
    return bool(below)


def _measured(sampler: EpisodeSampler, episodes: Sequence[Episode], spec: str) -> tuple[list[float], float]:
    """The accuracy of every episode, without the names of labels, and the seconds that training and answering took."""
    started = time.perf_counter()
    ctx = Context(notify=lambda message: print(f"{spec}: {message}", file=sys.stderr))
    learner: Learner = ensure_trained(LEARNERS.build(f"{spec},names=none"), sampler, ctx, load_task)
    answers = {done.problem_id: done.answers for done in learner.predict((each.problem for each in episodes), ctx)}
    score = kind_named(sampler.task.info.kind).score
    accuracies = [
        sum(map(score, answers[episode.problem.id], episode.gold)) / len(episode.gold) for episode in episodes
    ]
    return accuracies, time.perf_counter() - started


def _print(name: str, shot: int, learner: str, found: tuple[list[float], float], base: Any, comparisons: int) -> bool:
    """One line; returns whether the learner is significantly below the base."""
    by_episode, seconds = found
    interval = score_interval(by_episode)
    line: dict[str, Any] = {"benchmark": "family", "set": name, "way": 5, "shot": shot, "learner": learner}
    line |= {"episodes": len(by_episode), "mean": round(interval.mean, 4), "seconds": round(seconds, 1)}
    line["ci95"] = [round(interval.low, 4), round(interval.high, 4)]
    below = False
    if base is not None:
        differences = [one - other for one, other in zip(by_episode, base[0], strict=True)]
        paired = t_interval(differences)
        below = t_interval(differences, 1 - 0.05 / comparisons).high < 0
        line["over_prototypes"] = [round(value, 4) for value in (paired.mean, paired.low, paired.high)]
        line["below"] = below
    print(json.dumps(line), flush=True)
    return below


if __name__ == "__main__":
    sys.exit(main())
