"""The page of readouts and calibrations: what each does, by whom it is, what it costs, and how it was measured."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fewshot.core.catalog import CALIBRATORS, READOUTS
from fewshot.core.registry import Registry

_INTRO = """# Readouts

A readout (`--readout`) is how the scores of the labels are got out of a language model; a calibration (`--calibrate`)
is what is done with scores of labels afterwards.
"""
_DEFAULT = """
## The default

`auto` is `hidden` for local models, with the scores of the labels as one more text per class; and `labels` for hosted
models, for ko-mini, without labelled texts, and wherever selector, demos, method, calibrate or normalize are given.

Layer and weight were chosen with SmolLM2 by these figures: mean accuracy at 1, 2, 4 and 8 texts per class, on 5-way
episodes of validation classes of intents-en (10), hwu64 (12, class split 02), banking77 (6) and liu54 (6, class split
03), and of the training texts of trec (6, 5-way) and sst2 (6, 2-way), 3 queries per class. All readouts read one prompt
that shows one text per class, and look at no other query. Few episodes: differences of some hundredths are noise. 16
texts per class were not measured. The test classes of intents-en and banking77 are none of these; of those of class
split 01 of hwu64 and liu54, 5 of 25 and 6 of 18 are.

| readout | four sets of intents | trec and sst2 |
|---|---|---|
| `hidden` (layer -3, words=1) | .849 .899 .918 .921 | .653 .728 .769 .756 |
| `hidden:words=0` | .827 .889 .909 .917 | .522 .619 .753 .750 |
| `hidden:layer=-1` | .830 .874 .886 .902 | .686 .664 .739 .700 |
| `hidden:layer=-1,words=0` | .759 .853 .877 .889 | .531 .542 .678 .711 |
| `supervised` | .766 .803 .821 .826 | .647 .653 .708 .703 |
| `knn-prompting` | .694 .703 .753 .820 | .650 .533 .672 .686 |
| `labels` (one text per class shown at all) | .766 .766 .766 .766 | .647 .647 .647 .647 |
"""
_FIGURES = """
## Figures

By `benchmarks/readouts.py`, with {model}, on the test classes of each set: accuracy with its 95 % interval over
episodes, the paired difference from `labels` (one prompt with as many demonstrations as are shown by default,
contextual calibration), and the tokens computed per query, demonstrations included.
"""


def readouts(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The page.

    Args:
        records: lines of `benchmarks/readouts.py`.
    """
    yield _INTRO
    yield from _described("Readouts", READOUTS)
    yield from _described("Calibrations", CALIBRATORS)
    yield _DEFAULT
    if records:
        yield _FIGURES.format(model=", ".join(dict.fromkeys(record["model"] for record in records)))
    for record in records:
        split = f" (class split {record['class_split']})" if record.get("class_split") else ""
        place = f"{record['set']}{split}, {record['way']}-way {record['shot']}-shot"
        yield f"\n### {place}, {record['episodes']} episodes\n\n"
        yield "| readout | accuracy | against `labels` | tokens per query |\n|---|---|---|---|\n"
        for name, found in record["readouts"].items():
            gain = [value + 0.0 for value in record["minus_labels"].get(name, ())]  # no -0.0
            against = f"{gain[0]:+.3f} ({gain[1]:+.3f} to {gain[2]:+.3f})" if gain else ""
            accuracy = f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
            yield f"| {name} | {accuracy} | {against} | {found['tokens_per_query']} |\n"


def _described(title: str, registry: Registry) -> Iterator[str]:
    """What each part does, and what its module says of paper and cost."""
    yield f"\n## {title}\n"
    for entry in registry.entries().values():
        part = entry.load()
        does, *_ = (inspect.getdoc(part) or "").split("\n\n")
        of_file = (sys.modules[part.__module__].__doc__ or "").strip()
        yield f"\n### {entry.name}\n\n{does}\n\n{of_file}\n"
