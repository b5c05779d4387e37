"""Do more examples help? Every embedded language model, with the defaults of `icl`, at several texts per class.

    python benchmarks/shots.py [--shots 1 2 4 8] [--episodes N] [--query N]

Prints one JSON line per model: accuracy by texts per class on the same episodes, and where it falls beyond chance. A
fall is an alarm, and the exit code is 1. A model that cannot be had here is named and left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from typing import Any

from evals.comparison import compare
from evals.comparison.falls import falls
from fewshot.core.catalog import LEARNERS
from fewshot.core.embedded import ensure
from fewshot.core.errors import FewshotError

#: Model -> a task in a language that it was made for, and how many classes of it.
MODELS = {"smollm2": ("intents-en", 5), "ko-mini": ("sentiment-ko", 2), "gemma3": ("intents-ko", 5)}


def accuracy_by_shot(model: str, shots: list[int], query: int, episodes: int) -> dict[str, Any]:
    """The record of one model."""
    task, way = MODELS[model]
    learner = LEARNERS.build(f"icl:model={model}")
    with tempfile.TemporaryDirectory() as folder:
        found = compare(task, {model: learner}, way=way, shot=shots, query=query, episodes=episodes, folder=folder)
    standings = {analysis.table.shot: analysis.standing(model) for analysis in found.analyses}
    accuracy = {str(shot): round(standing.accuracy.mean, 3) for shot, standing in standings.items()}
    alarms = [fall.sentence(name, on) for name, on, fall in falls(found.analyses)]
    n = {"way": way, "episodes": episodes, "queries_per_shot": next(iter(standings.values())).n_queries}
    return {"model": model, "task": task, **n, "accuracy_by_shot": accuracy, "falls": alarms}


def main() -> int:
    """Measure every model. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--query", type=int, default=3)
    wanted = parser.parse_args()
    fallen = False
    for model in wanted.models:
        try:
            ensure(model)
        except FewshotError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        record = accuracy_by_shot(model, wanted.shots, wanted.query, wanted.episodes)
        print(json.dumps({"benchmark": "shots", **record}), flush=True)
        for alarm in record["falls"]:
            print(f"ALARM: {alarm}", file=sys.stderr)
            fallen = True
    return int(fallen)


if __name__ == "__main__":
    sys.exit(main())
