"""The card beside a predictor, as model hubs show it: what it was made of, how good it is, and where that ends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evals.language import UNKNOWN
from evals.wording import metric_name

if TYPE_CHECKING:
    from evals.recommend.recommendation import Recommendation

#: Folders of a path: whose machine it was is nobody's business.
_PATH = re.compile(r"(?:/[^/\s:]+)+/(?=[^/\s:])")
#: Probabilities below which being unsure is shown.
_THRESHOLDS = (0.5, 0.7, 0.9)


def model_card(found: Recommendation, folder: str) -> str:
    """The card of the predictor that a recommendation keeps.

    Args:
        folder: its name, for the commands.
    """
    return "\n".join(_lines(found, folder)) + "\n"


def _lines(found: Recommendation, folder: str) -> Iterator[str]:
    predictor, language = found.predictor, found.task.info.language
    yield from ("---", "library_name: fewshot", "pipeline_tag: text-classification")
    if language != UNKNOWN:
        yield f"language: {language}"
    yield from ("tags: [few-shot]", "---", "", f"# {_plain(found.task.name)}", "")
    yield from (found.sentence("en"), "", found.sentence("ko"), "")
    yield from ("## Use", "", "```bash", f"fewshot predict --from {folder} new.csv -o labels.csv")
    yield from (f"fewshot serve {folder}", "```", "")
    yield from ("## Data", "", f"{len(found.splits.rows):,} labelled texts, {len(predictor.labels)} classes.", "")
    counts = Counter(str(row.label) for row in predictor.support)
    if found.splits.kind == "classification":
        yield from _table(["class", "texts"], [[label.name, counts[label.name]] for label in predictor.labels])
    notes = (_PATH.sub("", note) for note in found.task.notes)
    yield from (*(f"- {_plain(note)}" for note in notes), "", "## Learner", "", f"`{predictor.spec}`", "")
    yield from _figures(found)
    yield from _limits(found)


def _figures(found: Recommendation) -> Iterator[str]:
    splits, name = found.splits, metric_name(found.findings.metric)
    yield "## How good it is\n"
    yield (
        f"{splits.repeats} x {splits.folds}-fold splits: {splits.n_train} texts shown, {splits.n_test} asked. "
        "Intervals are corrected for overlapping splits (Nadeau and Bengio 2003).\n"
    )
    scores = [
        [f"`{score.learner}`", f"{score.accuracy.mean:.3f}", f"{score.accuracy.low:.3f} to {score.accuracy.high:.3f}"]
        for score in found.findings.scores
    ]
    yield from _table(["learner", name, "95 % interval"], scores)
    if (trusted := found.predictor.confidence) is None:
        return
    before, after = trusted.calibration_error
    yield (
        f"Its probabilities are {100 * after:.1f} points off on average; {100 * before:.1f} before calibration, by a "
        f"temperature of {trusted.temperature:.2f}. What it answers when it may be unsure (`--abstain`):\n"
    )
    rows = []
    for threshold in _THRESHOLDS:
        coverage, right = trusted.at(threshold)
        shown = "none" if right is None else f"{right.mean:.1%} ({right.low:.1%} to {right.high:.1%})"
        rows.append([threshold, f"{coverage:.0%}", shown])
    yield from _table(["unsure below", "texts answered", "of them right"], rows)


def _limits(found: Recommendation) -> Iterator[str]:
    yield "## Limits\n"
    yield "- The figures speak of texts like those above. Other topics, another time or another channel: measure again."
    yield "- Every text gets one of the classes above, also one that belongs to none of them."
    yield from (f"- {_plain(alarm)}" for alarm in found.alarms)
    if found.doubts:
        yield f"- {len(found.doubts)} of the labelled texts may carry the wrong label (recommendation.json names them)."


def _table(columns: list[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    yield from (f"| {' | '.join(_plain(cell) for cell in row)} |" for row in rows)
    yield ""


def _plain(value: object) -> str:
    """Text that is no markup: in one line, no column and no element."""
    text = " ".join(str(value).split())
    return text if text.startswith("`") else text.replace("|", "\\|").replace("<", "&lt;")
