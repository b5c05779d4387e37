"""The .ts files of the UEA and UCR archive, as sktime and aeon read them.

    @problemName Waves              what is not used is passed over
    @dimensions 2                   checked where it is said; so are @univariate, @seriesLength with @equalLength true,
    @classLabel true up down        and the labels
    @data
    1,2,3:4,5,?:up                  a series per line: its dimensions and its label between colons, ? for missing

Series, and dimensions of one series, may be of unequal lengths. Of values with time stamps, `(time,value)`, the values
are read as if equally spaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evals.series.rows import as_rows, filled, lines_of, number
from evals.sources import Row
from fewshot.core.errors import TaskError

_STAMPED = re.compile(r"\(([^()]*),([^(),]*)\)")
_TRUE, _FALSE = "true", "false"


@dataclass(frozen=True)
class _Header:
    """What is declared. None where it is not."""

    dimensions: int | None
    length: int | None
    labels: frozenset[str]
    stamped: bool


def read_ts(path: Path) -> list[Row]:
    """The series of a .ts file.

    Raises:
        TaskError: no header, no class labels, or a series that is not as declared, with its line.
    """
    lines = lines_of(path)
    header = _header(lines, path)
    return as_rows(((at, *_series(line, header, f"{path}:{at}")) for at, line in lines), path)


def _header(lines: Iterator[tuple[int, str]], path: Path) -> _Header:
    said: dict[str, list[str]] = {}
    for at, line in lines:
        if not line.startswith("@"):
            raise TaskError(f"{path}:{at}: a series before @data; a .ts file begins with @problemName, ..., @data")
        key, *values = line[1:].split()
        if key.lower() == "data":
            return _checked(said, path)
        said[key.lower()] = values
    raise TaskError(f"{path}: no @data in it; a .ts file is a header that ends in @data, and a series per line")


def _checked(said: dict[str, list[str]], path: Path) -> _Header:
    labels = said.get("classlabel", [_FALSE])
    if labels[:1] != [_TRUE] and labels[:1] != ["True"]:
        raise TaskError(f"{path}: no classes: @classLabel true and the labels are expected in the header")
    equal = _flag(said, "equallength", path)
    univariate = _flag(said, "univariate", path)
    dimensions = _count(said, "dimensions", path)
    if univariate and dimensions not in (None, 1):
        raise TaskError(f"{path}: the header says @univariate true and @dimensions {dimensions}; one of them is wrong")
    return _Header(
        dimensions=1 if univariate else dimensions,
        length=_count(said, "serieslength", path) if equal else None,
        labels=frozenset(labels[1:]),
        stamped=_flag(said, "timestamps", path),
    )


def _flag(said: dict[str, list[str]], name: str, path: Path) -> bool:
    value = (said.get(name) or [_FALSE])[0].lower()
    if value not in (_TRUE, _FALSE):
        raise TaskError(f"{path}: @{name} is {value!r} in the header, and is true or false")
    return value == _TRUE


def _count(said: dict[str, list[str]], name: str, path: Path) -> int | None:
    if name not in said:
        return None
    value = "".join(said[name])
    if not value.isdecimal() or int(value) < 1:
        raise TaskError(f"{path}: @{name} is {value!r} in the header, and is a number from 1")
    return int(value)


def _series(line: str, header: _Header, where: str) -> tuple[np.ndarray, str]:
    *parts, label = (_STAMPED.sub(r"\2", line) if header.stamped else line).split(":")
    label = label.strip()
    if not parts or not label:
        raise TaskError(f"{where}: a series is its dimensions and its label between colons, as in 1,2,3:4,5,6:up")
    if header.labels and label not in header.labels:
        raise TaskError(
            f"{where}: label {label!r} is not among those of @classLabel: {', '.join(sorted(header.labels))}"
        )
    if header.dimensions not in (None, len(parts)):
        raise TaskError(f"{where}: {len(parts)} dimensions, and the header says {header.dimensions}")
    if "(" in line and not header.stamped:
        raise TaskError(f"{where}: values with time stamps, and the header does not say @timeStamps true")
    dimensions = [[number(value, where) for value in part.split(",")] for part in parts]
    for at, dimension in enumerate(dimensions, start=1):
        if header.length not in (None, len(dimension)):
            raise TaskError(
                f"{where}: dimension {at} has {len(dimension)} values, and the header says {header.length}; "
                "@equalLength false where they differ"
            )
    return filled(dimensions), label
