"""What reading all queries together is worth: transductive learners beside prototypes, on the same episodes.

    python benchmarks/transductive.py                        every set, 1 and 5 shots, queries balanced and not
    python benchmarks/transductive.py --choice               the sets and parts that defaults were chosen by
    python benchmarks/transductive.py --sets agnews --shots 1 --episodes 20

Prints one JSON line per set, number of shots and balance of the queries: accuracy, and the paired difference from
prototypes with as many label names, both with intervals for new texts. 5 classes (agnews: 4), 15 queries per class, or
as many in proportions of Dirichlet(2); with the names of the labels as one more text per class, and without.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evals.comparison import compare
from evals.comparison.analysis import Analysis
from evals.learner import Context
from evals.stats import Interval

#: Set to part. No default was chosen by the texts of the first ones.
TESTS = {"banking77": "test", "hwu64": "test", "liu54": "test", "agnews": "test", "sib200[ko]": "test"}
CHOICE = {"banking77": "valid", "hwu64": "valid", "liu54": "valid", "ynat": "train"}
BASE, NAMELESS = "prototypes", ":names=none"
LEARNERS = (BASE, "soft-kmeans", "laplacianshot", "alpha-tim", "transport")
#: What is told that classes are equally frequent: good where that is so.
TOLD = "transport:balance=equal"
BALANCES = ("equal", "dirichlet:2")


def main() -> None:
    """Measure what the arguments name, and print a line as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", metavar="SET")
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--choice", action="store_true", help="the sets that defaults were chosen by instead")
    wanted = parser.parse_args()
    parts = CHOICE if wanted.choice else TESTS
    for name in wanted.sets or parts:
        for balance in BALANCES:
            for record in measured(name, parts[name], balance, wanted.shots, wanted.episodes):
                print(json.dumps({"benchmark": "transductive", **record}), flush=True)


def measured(name: str, part: str, balance: str, shots: Sequence[int], episodes: int) -> Iterator[dict[str, Any]]:
    """One record per number of shots, on one set."""
    specs = [*LEARNERS, TOLD, *(f"{learner}{NAMELESS}" for learner in LEARNERS)]
    ctx = Context(notify=lambda message: print(message, file=sys.stderr))
    with tempfile.TemporaryDirectory() as folder:
        found = compare(
            name,
            specs,
            shot=shots,
            query=15,
            episodes=episodes,
            part=part,
            query_balance=balance,
            folder=Path(folder) / "comparison",
            ctx=ctx,
        )
    for analysis in found.analyses:
        table = analysis.table
        place = {"set": name, "part": part, "balance": balance, "way": table.way, "shot": table.shot}
        yield {
            **place,
            "episodes": table.n_episodes,
            "learners": {spec: _figures(analysis.standing(spec).new_texts) for spec in specs},
            "over_prototypes": {spec: _figures(_gain(analysis, spec)) for spec in specs if base_of(spec) != spec},
            "ms_per_query": {spec: round(1000 * analysis.standing(spec).seconds_per_query, 3) for spec in specs},
        }


def base_of(spec: str) -> str:
    """The prototypes that a learner is held against: those that read label names where it does."""
    return f"{BASE}{NAMELESS}" if spec.endswith(NAMELESS) else BASE


def _gain(analysis: Analysis, spec: str) -> Interval:
    return analysis.pair(spec, base_of(spec)).new_texts


def _figures(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.mean, interval.low, interval.high)]


if __name__ == "__main__":
    main()
