"""Praise or blame in Korean: the embedded language model, prompted, against learners that are trained.

    python benchmarks/praise.py [--episodes 100] [--folder DIR]

Every learner answers the same test episodes of `sentiment-ko` and `nsmc`, from no text per class to 32. Prints one JSON
line per task and shot: accuracy and the paired differences to the prompted model, with intervals for new texts. DIR is
kept, and an interrupted measurement goes on there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from languages import results

from evals.comparison import compare
from evals.learner import Context

TASKS = ("sentiment-ko", "nsmc")
SHOTS = (0, 1, 2, 4, 8, 16, 32)
PROMPTED = "icl:model=ko-mini"
LEARNERS = (PROMPTED, "probe:encoder=e5-small", "prototypes:encoder=e5-small")


def main() -> None:
    """Measure, and print a line per task and shot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where the comparisons are kept; default: nowhere")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for task in TASKS:
            found = compare(
                task,
                LEARNERS,
                way=2,
                shot=SHOTS,
                episodes=wanted.episodes,
                folder=(wanted.folder or Path(temporary)) / task,
                ctx=Context(notify=lambda message: print(message, file=sys.stderr)),
            )
            for analysis in found.analyses:
                facts = {"benchmark": "praise", "task": task, "shot": analysis.table.shot}
                print(json.dumps({**facts, **results(analysis, LEARNERS, PROMPTED)}), flush=True)


if __name__ == "__main__":
    main()
