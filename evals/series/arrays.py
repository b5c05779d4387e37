"""Time series in .npz files: `x` (n, dimensions, length) or (n, length) of numbers, and `y` (n,) classes.

NaN is a missing value, and fills series up that are shorter than others. Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from evals.series.rows import as_rows
from evals.sources import Row
from fewshot.core.errors import TaskError

_VALUES, _LABELS = ("x", "X", "series", "data"), ("y", "Y", "labels")
_ERRORS = (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile)


def is_of_series(path: Path) -> bool:
    """Whether an .npz file holds series: (n, length) or (n, dimensions, length) floats. Its header alone is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((f"{each}.npy" for each in _VALUES if f"{each}.npy" in archive.namelist()), None)
            if name is None:
                return False
            with archive.open(name) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
    except _ERRORS:
        return False
    return dtype.kind == "f" and len(shape) in (2, 3)


def read_arrays(path: Path) -> list[Row]:
    """The series of an .npz file.

    Raises:
        TaskError: not a file of numbers, no series or no labels, or not as many of both.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = dict(arrays)
    except _ERRORS as error:
        raise TaskError(f"{path}: not a readable .npz file of numbers: {error}") from error
    values, labels = (next((found[each] for each in names if each in found), None) for names in (_VALUES, _LABELS))
    if values is None or labels is None:
        missing = "series under x" if values is None else "labels under y"
        raise TaskError(f"{path}: no {missing}; save it with numpy.savez(FILE, x=series, y=labels)")
    if values.dtype.kind not in "fiu" or values.ndim not in (2, 3):
        raise TaskError(
            f"{path}: x is (n, dimensions, length) or (n, length) numbers, not {values.shape} {values.dtype}"
        )
    if labels.shape != values.shape[:1]:
        raise TaskError(
            f"{path}: {len(values)} series and labels of shape {labels.shape}; there is one label per series"
        )
    return as_rows(((at, each, str(labels[at])) for at, each in enumerate(values)), path, "series")
