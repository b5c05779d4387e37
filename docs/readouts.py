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
    if records:
        yield _FIGURES.format(model=", ".join(dict.fromkeys(record["model"] for record in records)))
    for record in records:
        yield f"\n### {record['set']}, {record['way']}-way {record['shot']}-shot, {record['episodes']} episodes\n\n"
        yield "| readout | accuracy | against `labels` | tokens per query |\n|---|---|---|---|\n"
        for name, found in record["readouts"].items():
            gain = record["minus_labels"].get(name)
            against = "" if gain is None else f"{gain[0]:+.3f} ({gain[1]:+.3f} to {gain[2]:+.3f})"
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
