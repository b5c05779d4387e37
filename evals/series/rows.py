"""What the readers of time series share: numbers, rows, and the check that all series have as many dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from evals.sources import Row
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.series import Series

#: How a missing value is written.
_MISSING = ("?", "nan")
#: Values of a file: 800 MB of numbers. Nothing here learns from more.
_MANY = 200_000_000


def number(text: str, where: str) -> float:
    """A value; NaN where it is missing. Raises TaskError where it is no number."""
    try:
        return float(text)
    except ValueError:
        if text.strip().lower() in _MISSING:
            return np.nan
        raise TaskError(f"{where}: {text.strip()[:40]!r} is no number; write ? for a missing value") from None


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file and their numbers, without comments and empty lines. Raises TaskError where it is no text."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for at, line in enumerate(file, start=1):
                if (stripped := line.strip()) and not stripped.startswith(("#", "%")):
                    yield at, stripped
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not a file of text in UTF-8; is it a {path.suffix} file at all?") from error


def filled(dimensions: Sequence[Sequence[float]]) -> np.ndarray:
    """(dimensions, length) of dimensions that may be of unequal lengths; short ones end in missing values."""
    values = np.full((len(dimensions), max(map(len, dimensions))), np.nan)
    for at, dimension in enumerate(dimensions):
        values[at, : len(dimension)] = dimension
    return values


def as_rows(found: Iterable[tuple[int, np.ndarray, str]], path: Path, unit: str = "line") -> list[Row]:
    """Rows of (number, values, label).

    Raises:
        TaskError: no series, a series without values, or one with more or fewer dimensions than the first.
    """
    rows: list[Row] = []
    first = total = 0
    for at, values, label in found:
        where = f"{path}, {unit} {at}" if unit != "line" else f"{path}:{at}"
        try:
            series = Series.of(values)
        except UsageError as error:
            raise TaskError(f"{where}: {error}") from error
        dimensions, length = series.values.shape
        first, total = first or dimensions, total + dimensions * length
        if dimensions != first:
            raise TaskError(f"{where}: {dimensions} dimensions, where the first series has {first}")
        if total > _MANY:
            raise TaskError(f"{where}: more than {_MANY:,} values; split the file, or keep fewer series")
        rows.append(Row({"id": f"{path.stem}-{at}", "text": series, "label": label}, where, at))
    if not rows:
        raise TaskError(f"{path}: no series in it")
    return rows
