"""The page of accuracy in other languages than English, from what `benchmarks/languages.py` printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_ABOVE = """# Languages

What learners that are trained reach on the embedded encoder of the language, as `make reproduce` printed it last:
`prototypes`, `probe` and `crosslingual` with their defaults, no language model, nothing trained but the learner itself.
Episodes are of test classes, or of test rows where a task has no class splits; `ynat` publishes one set of rows alone.
In brackets are 95 % intervals for new texts; differences are paired, on the same episodes. With 0 texts per class the
names of the labels are all there is to learn from, and TF-IDF has nothing to compare. The goals were set before
the measurements.

"""
_ENGLISH = """
## English: which encoder

`--encoder auto` takes MiniLM for English. Accuracy, and the difference to MiniLM with the names of the labels:

"""
_CHOICE = """
## What the centre of prototypes was chosen by

Prototypes take the mean of the class means from all vectors (`centre=support`) where there are more texts than classes.
It was measured on validation classes, or on training rows where a task has no class splits, with the encoder of the
language and the names of the labels. With names alone it loses (it is left out there), with one text per class it
gains, with many it changes little.

"""
_TRIED = """
## What was tried and left out

For the probe on `nsmc` with 20 texts per class, on training rows, 100 episodes: other strengths of the penalty (C of 1
to 1,000), centring on the support or on a fixed mean, whitening by unlabelled texts, linear discriminant analysis.
None gained more than its interval, whitening and discriminant analysis lost. Character n-grams beside the vectors
gained 1.6 points (0.6 to 2.6), measured on this set alone, which is too little to make them a default.
"""


def by_language(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The page.

    Args:
        records: lines of `benchmarks/languages.py`, with and without `--choice`.
    """
    measured = [record for record in records if record["benchmark"] == "languages"]
    others, english = ([r for r in measured if (r["against"] == "tfidf") == known] for known in (True, False))
    yield _ABOVE
    yield "| task | way | shot | episodes | learner | accuracy | TF-IDF | over TF-IDF | goal |\n"
    yield "|---|---|---|---|---|---|---|---|---|\n"
    for record in others:
        yield from _rows(record)
    yield _ENGLISH
    yield "| task | way | shot | episodes | learner | accuracy | over MiniLM |\n|---|---|---|---|---|---|---|\n"
    for record in english:
        for learner, found in record["learners"].items():
            yield f"| {record['task']} | {record['way']} | {record['shot']} | {record['episodes']} | `{learner}` "
            yield f"| {share(found)} | {difference(record['over'].get(learner))} |\n"
    yield _CHOICE
    yield "| task | part | way | shot | episodes | as they are | centred | difference |\n"
    yield "|---|---|---|---|---|---|---|---|\n"
    for record in (record for record in records if record["benchmark"] == "centre"):
        plain, centred = (record["learners"][name] for name in (record["against"], "prototypes"))
        yield f"| {record['task']} | {record['part']} | {record['way']} | {record['shot']} | {record['episodes']} "
        yield f"| {share(plain)} | {share(centred)} | {difference(record['over']['prototypes'])} |\n"
    yield _TRIED


def _rows(record: Mapping[str, Any]) -> Iterator[str]:
    task = record["task"] if record["to"] is None else f"{record['task']}, en to {record['to']}"
    task += ", all classes" if record.get("classes") == "all" else ""
    tfidf = record["learners"].get("tfidf")
    for learner, found in record["learners"].items():
        if learner != "tfidf":
            yield f"| {task} | {record['way']} | {record['shot']} | {record['episodes']} | `{learner}` "
            yield f"| {share(found)} | {share(tfidf)} | {difference(record['over'].get(learner))} "
            yield f"| {_goal(record['goals'].get(learner), found[0])} |\n"


def _goal(goal: float | None, reached: float) -> str:
    if goal is None:
        return ""
    return f"{goal:.2f}, {'reached' if reached >= goal else 'missed'}"


def share(found: Sequence[float] | None) -> str:
    """Accuracy with its interval; nothing where there is none."""
    return "" if found is None else "{:.3f} ({:.3f} to {:.3f})".format(*found)


def difference(found: Sequence[float] | None) -> str:
    """A paired difference with its interval; nothing where there is none."""
    return "" if found is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*found)
