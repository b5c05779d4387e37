"""Which time series there are: a file, or a folder with NAME_TRAIN and NAME_TEST files as the archives have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evals.series.arff import read_arff
from evals.series.arrays import is_of_series, read_arrays
from evals.series.ts import read_ts
from evals.sources import PART_NAMES, Row
from evals.task import ClassSplit
from fewshot.core.errors import TaskError
from fewshot.core.seeds import random_state

_READERS: Mapping[str, Callable[[Path], list[Row]]] = {".ts": read_ts, ".arff": read_arff, ".npz": read_arrays}
SUFFIXES = (".ts", ".arff")
#: Classes from which a source is split, and the name of the split.
_FEWEST, _OWN_SPLIT = 6, "auto"


def holds_series(path: Path) -> bool:
    """Whether a file or folder of the user is a source of time series."""
    if path.is_dir():
        return bool(_files(path))
    suffix = path.suffix.lower()
    return path.is_file() and (suffix in SUFFIXES or (suffix == ".npz" and is_of_series(path)))


def read_series(source: Path) -> dict[str, Sequence[Row]]:
    """Rows by part.

    Raises:
        TaskError: nothing can be read, or parts of different numbers of dimensions.
    """
    files = {"all": source} if source.is_file() else _files(source)
    if not files:
        raise TaskError(f"{source}: no time series in it; NAME_TRAIN.ts and NAME_TEST.ts (or .arff, .npz) are expected")
    parts = {part: _READERS[path.suffix.lower()](path) for part, path in files.items()}
    dimensions = {part: len(rows[0].values["text"].values) for part, rows in parts.items()}
    if len(set(dimensions.values())) > 1:
        said = " and ".join(f"{count} in {files[part].name}" for part, count in dimensions.items())
        raise TaskError(f"{source}: series of different numbers of dimensions: {said}")
    return dict(parts)


def split_of_series(parts: Mapping[str, Sequence[Row]]) -> dict[str, ClassSplit]:
    """A class split for a source that comes without: about half of the classes to train on, a quarter to stop early on.

    None where there are too few classes for two in each part.
    """
    classes = sorted({str(row.values["label"]) for rows in parts.values() for row in rows})
    if len(classes) < _FEWEST:
        return {}
    order = random_state("class split of series", classes).permutation(len(classes))
    names = [classes[at] for at in order]
    tested = max(2, len(names) // 4)
    return {_OWN_SPLIT: {"test": names[:tested], "valid": names[tested : 2 * tested], "train": names[2 * tested :]}}


def _files(folder: Path) -> dict[str, Path]:
    """The file of every part, as the last word of its name says it; .ts before .arff before .npz."""
    found: dict[str, Path] = {}
    for suffix in _READERS:
        for path in sorted(folder.iterdir()):
            word = re.split(r"[^a-z]+", path.stem.lower())[-1]
            if path.suffix.lower() == suffix and word in PART_NAMES and (suffix != ".npz" or is_of_series(path)):
                found.setdefault(PART_NAMES[word], path)
    return found
