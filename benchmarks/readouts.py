"""How is a small language model best read? Every readout and calibration on the same episodes, one JSON line per shot.

    python benchmarks/readouts.py [--sets intents-en banking77] [--shots 1 5] [--episodes N] [--part valid]

Prints accuracy with its 95 % interval over episodes, the paired difference from `labels` (one prompt with as many
demonstrations as are shown by default, contextual calibration), and the tokens that were computed per query, the
demonstrations included.
Defaults are chosen on validation classes (`--part valid`); figures are of test classes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from evals.comparison import compare
from evals.comparison.analysis import Analysis
from evals.types import Usage
from fewshot.core.catalog import MODELS
from icl.learner import ICLLearner

#: Name in the table -> what is said of `icl`.
READOUTS: dict[str, dict[str, Any]] = {
    "labels": {"readout": "labels"},
    "labels, none": {"readout": "labels", "calibrate": "none"},
    "labels, domain-context": {"readout": "labels", "calibrate": "domain-context"},
    "labels, pmi": {"readout": "labels", "calibrate": "pmi"},
    "labels, batch": {"readout": "labels", "calibrate": "batch"},
    "ensemble": {"readout": "ensemble"},
    "hidden": {"readout": "hidden"},
    "knn-prompting": {"readout": "knn-prompting"},
    "supervised": {"readout": "supervised"},
    "channel": {"readout": "channel"},
}
SETS = ("intents-en", "banking77", "hwu64")


def measured(name: str, wanted: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One record per number of shots, on one set."""
    model = MODELS.build(wanted.model)
    names = list(dict.fromkeys(["labels", *wanted.only]))
    learners = {each: ICLLearner(model, **READOUTS[each]) for each in names}
    with tempfile.TemporaryDirectory() as folder:
        found = compare(
            name,
            learners,
            way=wanted.way,
            shot=wanted.shots,
            query=wanted.query,
            episodes=wanted.episodes,
            class_split=wanted.class_split,
            part=wanted.part,
            folder=folder,
        )
    for analysis in found.analyses:
        table = analysis.table
        where = {"set": name, "class_split": table.cells[0].class_split, "part": table.part}
        place = {**where, "way": table.way, "shot": table.shot, "episodes": table.n_episodes}
        gains = {each: _gain(analysis, each) for each in names[1:]}
        yield {**place, "model": wanted.model, "readouts": _standings(analysis, names), "minus_labels": gains}


def _standings(analysis: Analysis, names: Sequence[str]) -> dict[str, Any]:
    found = {name: analysis.standing(name) for name in names}
    return {
        name: {
            **{key: round(getattr(each.accuracy, key), 3) for key in ("mean", "low", "high")},
            "tokens_per_query": round(sum(each.usage.values(), Usage()).tokens_in / each.n_queries, 1),
        }
        for name, each in found.items()
    }


def _gain(analysis: Analysis, name: str) -> list[float]:
    difference = analysis.pair(name, "labels").difference
    return [round(value, 3) for value in (difference.mean, difference.low, difference.high)]


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--way", type=int, default=5)
    parser.add_argument("--query", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--class-split", help="default: the first one that a set has")
    parser.add_argument("--part", default="test", choices=["valid", "test"])
    parser.add_argument("--only", nargs="+", default=list(READOUTS), choices=READOUTS, metavar="NAME")
    wanted = parser.parse_args()
    for name in wanted.sets:
        for record in measured(name, wanted):
            print(json.dumps({"benchmark": "readouts", **record}), flush=True)


if __name__ == "__main__":
    main()
