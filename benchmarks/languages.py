"""Accuracy in other languages than English: learners that are trained, on the encoder of the language.

    python benchmarks/languages.py                      every line
    python benchmarks/languages.py --only nsmc ynat     the lines of these tasks
    python benchmarks/languages.py --choice             the centre of prototypes, on validation classes or training rows

Prints one JSON line per task and number of texts per class: every learner on the same test episodes, drawn as
by `fewshot compare` and `fewshot icl crosslingual`, with intervals for new texts, the paired difference to TF-IDF, and
the goal that was set for one of the learners before it was measured. The English lines compare the encoders instead.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.comparison import Comparison, compare
from evals.comparison.analysis import Analysis
from evals.crosslingual import CrossLingualSampler, align, pair, task_in
from evals.learner import Context
from evals.loading import load_task
from evals.runner import run
from evals.stats import Interval
from fewshot.core.catalog import LEARNERS

TRAINED = ("prototypes", "probe")
ENGLISH = ("prototypes:encoder=minilm", "prototypes:encoder=minilm,names=none", "prototypes:encoder=e5-small")


@dataclass(frozen=True)
class Line:
    """What is measured.

    Attributes:
        shot: texts per class; with 0, names of labels are all there is to learn from.
        goals: learner to accuracy.
        to: the language that is asked in, where it is another than the one that is shown.
        classes: "test", those of the first class split where a task has some; or "all", as `icl crosslingual` draws
            where no class split is named.
        against: what the others are paired with.
    """

    task: str
    shot: int
    learners: tuple[str, ...] = TRAINED
    goals: tuple[tuple[str, float], ...] = ()
    way: int = 5
    to: str | None = None
    classes: str = "test"
    against: str = "tfidf"


LINES = (
    Line("intents-ko", 0, goals=(("prototypes", 0.75),)),
    Line("intents-ko", 1, goals=(("prototypes", 0.65),)),
    Line("intents-ko", 5, goals=(("prototypes", 0.88),)),
    Line("ynat", 5, goals=(("prototypes", 0.70),)),
    Line("nsmc", 20, goals=(("probe", 0.75),), way=2),
    Line("sib200", 5, ("crosslingual",), (("crosslingual", 0.72),), to="ko"),
    *(Line("intents", 5, ("crosslingual",), (("crosslingual", 0.82),), to="ko", classes=c) for c in ("test", "all")),
    *(Line(task, shot, ENGLISH, against=ENGLISH[0]) for task in ("intents-en", "banking77") for shot in (1, 5)),
)

#: Task, part that its queries come from, shots. No line above asks prototypes about these texts.
CHOICE = (
    ("intents-ko", "valid", (1, 5, 15)),
    ("intents-en", "valid", (1, 5, 15)),
    ("banking77", "valid", (1, 5, 20)),
    *((task, "train", (1, 5, 20)) for task in ("sib200[ko]", "sib200[en]", "sentiment-ko", "sentiment-en", "nsmc")),
)
CENTRED = ("prototypes:centre=none", "prototypes:centre=support")


def main() -> None:
    """Measure what the arguments name, and print a line as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=sorted({line.task for line in LINES}), metavar="TASK")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--choice", action="store_true", help="what the centre of prototypes was chosen by instead")
    wanted = parser.parse_args()
    if wanted.choice:
        _print_choice(wanted.episodes)
        return
    for line in (line for line in LINES if line.task in wanted.only):
        with tempfile.TemporaryDirectory() as folder:
            found = measured(line, wanted.episodes, Path(folder) / "comparison")
        (analysis,) = found.analyses
        facts = {
            "benchmark": "languages",
            "task": line.task,
            "to": line.to,
            "classes": line.classes,
            "way": line.way,
            "shot": line.shot,
        }
        print(
            json.dumps({**facts, "goals": dict(line.goals), **results(analysis, line.learners, line.against)}),
            flush=True,
        )


def _print_choice(episodes: int) -> None:
    for task, part, shots in CHOICE:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "comparison"
            found = compare(task, CENTRED, shot=shots, part=part, episodes=episodes, folder=place, ctx=_context())
        for analysis in found.analyses:
            facts = {"benchmark": "centre", "task": task, "part": part, "way": analysis.table.way}
            told = results(analysis, CENTRED, CENTRED[0])
            print(json.dumps({**facts, "shot": analysis.table.shot, **told}), flush=True)


def measured(line: Line, episodes: int, folder: Path) -> Comparison:
    """The learners of a line, and the baselines, on its episodes."""
    ctx = _context()
    if line.to is None:
        return compare(
            line.task, line.learners, way=line.way, shot=line.shot, episodes=episodes, folder=folder, ctx=ctx
        )
    shown, asked = align([load_task(task_in(line.task, language)) for language in ("en", line.to)])
    class_split = shown.default_class_split() if line.classes == "test" else None
    sampler = CrossLingualSampler(pair(shown, asked), line.way, line.shot, 5, class_split=class_split)
    learner, tfidf = (LEARNERS.build(name) for name in (*line.learners, "tfidf"))
    run(learner, sampler, episodes, run_dir=folder, ctx=ctx, baselines={"tfidf": tfidf})
    return Comparison.read([folder])


def results(analysis: Analysis, learners: Sequence[str], against: str) -> dict[str, Any]:
    """Accuracy of the learners and of TF-IDF, and their paired differences to one of them, with intervals.

    A learner that cannot answer, as TF-IDF without texts, is left out.
    """
    standings = {each.learner: each for each in analysis.standings if each.non_ok_rate < 1}
    shown = [name for name in (*learners, "tfidf") if name in standings]
    return {
        "against": against,
        "episodes": analysis.table.n_episodes,
        "learners": {name: _figures(standings[name].new_texts) for name in shown},
        "over": {
            name: _figures(analysis.pair(name, against).new_texts)
            for name in shown
            if name != against and against in standings
        },
    }


def _context() -> Context:
    return Context(notify=lambda message: print(message, file=sys.stderr))


def _figures(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.mean, interval.low, interval.high)]


if __name__ == "__main__":
    main()
