"""MetaICL before and after: an English language model as it is, and meta-trained, on the same episodes.

    python benchmarks/metaicl.py --trained DIR [--model smollm2] [--sets banking77 trec agnews sst2]

DIR is what `fewshot icl metatrain --out DIR` wrote. Prints one JSON line per set: accuracy of both with an interval
over episodes, and the paired difference of after to before.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from evals.comparison import Comparison, compare
from evals.learner import Context

#: Set -> way, as the episodes of each are usually drawn: five classes, or all where there are fewer.
WAYS = {"banking77": 5, "trec": 5, "agnews": 4, "sst2": 2}


def main() -> None:
    """Compare on every set, and print a line as soon as one is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=Path, required=True, help="folder of the meta-trained model")
    parser.add_argument("--model", default="smollm2", help="what it was trained from")
    parser.add_argument("--sets", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--shot", type=int, default=1)
    parser.add_argument("--query", type=int, default=5, help="per class")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--calibrate", nargs="+", default=["none"], help="none, contextual: of both models")
    wanted = parser.parse_args()
    training = json.loads((wanted.trained / "learner.json").read_text(encoding="utf-8"))
    for name in wanted.sets:
        learners = {
            f"{stage}, {calibrate}": f"icl:model={model},calibrate={calibrate},demos=all"
            for calibrate in wanted.calibrate
            for stage, model in (("before", wanted.model), ("after", wanted.trained))
        }
        with tempfile.TemporaryDirectory() as folder:
            found = compare(
                name,
                list(learners.values()),
                way=WAYS[name],
                shot=wanted.shot,
                query=wanted.query,
                episodes=wanted.episodes,
                folder=Path(folder) / "comparison",
                ctx=Context(notify=lambda message: print(message, file=sys.stderr)),
            )
        facts = {"benchmark": "metaicl", "set": name, "way": WAYS[name], "shot": wanted.shot, "model": wanted.model}
        print(
            json.dumps({**facts, "training": _told(training), **_results(found, learners, wanted.calibrate)}),
            flush=True,
        )


def _told(document: dict[str, Any]) -> dict[str, Any]:
    """What the training was, for the page."""
    return {"learner": document["learner"], **document["training"]}


def _results(found: Comparison, learners: dict[str, str], calibrations: list[str]) -> dict[str, Any]:
    rows = {row["learner"]: row for row in found.rows()}
    (analysis,) = found.analyses
    named = {**learners, **{row["learner"]: row["learner"] for row in found.rows() if row["baseline"]}}
    accuracy = {
        name: {key: round(rows[spec][key], 4) for key in ("accuracy", "low", "high")} for name, spec in named.items()
    }
    differences = {}
    for calibrate in calibrations:
        pair = analysis.pair(learners[f"after, {calibrate}"], learners[f"before, {calibrate}"])
        gain = pair.difference
        differences[calibrate] = [round(value, 4) for value in (gain.mean, gain.low, gain.high)]
    return {"episodes": analysis.table.n_episodes, "learners": accuracy, "after_minus_before": differences}


if __name__ == "__main__":
    main()
