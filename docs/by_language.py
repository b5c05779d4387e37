"""The page of accuracy in other languages than English, from what `benchmarks/languages.py` printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CENTRED = "prototypes:centre=support"
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

`--encoder auto` takes MiniLM for English. Accuracy, and the difference to prototypes on MiniLM with their defaults; the
row with `names=none` says what the names of the labels add:

"""
_CHOICE = """
## What the centre of prototypes was chosen by

Prototypes take the mean of the class means from all vectors (`centre=support`) where there are more texts than classes
and vectors lie in a narrow cone: by `e5-small`, whose cosines between texts of different classes are 0.8 on average,
and not by `minilm`, where they are 0.1 to 0.3 and nothing is sure to be gained. It was measured on validation classes,
or on training rows where a task has no class splits, with the encoder of the language and the names of the labels.
With names alone it lost up to 3 points on topics, and is left out there. Before it was confined to narrow cones,
centring with `minilm` had been seen on three lines of the English table above: +0.3, -0.6 and -0.6 points, each
within its interval.

"""
_TRIED = """
## What was tried and left out

For the probe on `nsmc` with 20 texts per class, on training rows, 100 episodes: other strengths of the penalty (C of 1
to 1,000) and centring, on the support or on a fixed mean, gained no more than their intervals; whitening by unlabelled
texts and discriminant analysis lost 1 to 10 points. Character n-grams beside the vectors gained 1.6 points (0.6 to
2.6); on this set alone that is too little to make them a default.

From English to Korean, on validation and training classes of `intents`, 100 episodes: whitening lost. A fixed mean
with the direction between the two languages taken away, both from other texts, gained 0.5 and 1.2 points at 5 texts
per class over the centre of the support, and 7 at 0; it needs texts of every language in advance, and is not built in.
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
    yield "| task | way | shot | episodes | learner | accuracy | over the default |\n|---|---|---|---|---|---|---|\n"
    for record in english:
        for learner, found in record["learners"].items():
            yield f"| {record['task']} | {record['way']} | {record['shot']} | {record['episodes']} | `{learner}` "
            yield f"| {share(found)} | {difference(record['over'].get(learner))} |\n"
    yield _CHOICE
    yield "| task | part | way | shot | episodes | as they are | centred | difference |\n"
    yield "|---|---|---|---|---|---|---|---|\n"
    for record in (record for record in records if record["benchmark"] == "centre"):
        plain, centred = (record["learners"][name] for name in (record["against"], CENTRED))
        yield f"| {record['task']} | {record['part']} | {record['way']} | {record['shot']} | {record['episodes']} "
        yield f"| {share(plain)} | {share(centred)} | {difference(record['over'][CENTRED])} |\n"
    yield _TRIED


def in_short(records: Sequence[Mapping[str, Any]]) -> str:
    """What the encoders are worth, in one paragraph: the first learner of every line beside TF-IDF."""
    lines = [r for r in records if r["benchmark"] == "languages" and r["against"] == "tfidf"]
    found = []
    for line in lines:
        (learner, figures), tfidf = next(iter(line["learners"].items())), line["learners"].get("tfidf")
        beside = f" (TF-IDF {tfidf[0]:.3f})" if tfidf else ""
        found.append(f"{_named(line)}, {line['way']}-way {line['shot']}-shot: `{learner}` {figures[0]:.3f}{beside}")
    return f"\nAccuracy with `encoder=auto`: {'; '.join(found)}. [More figures](languages.md).\n"


def _named(record: Mapping[str, Any]) -> str:
    task = record["task"] if record["to"] is None else f"{record['task']}, en to {record['to']}"
    return f"{task}, all classes" if record["classes"] == "all" else task


def _rows(record: Mapping[str, Any]) -> Iterator[str]:
    tfidf = record["learners"].get("tfidf")
    for learner, found in record["learners"].items():
        if learner != "tfidf":
            yield f"| {_named(record)} | {record['way']} | {record['shot']} | {record['episodes']} | `{learner}` "
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
