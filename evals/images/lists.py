"""Files beside images that say of which class, or of which part of a class split, they are."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.sources import PART_NAMES, Row
from evals.task import PARTS, ClassSplit
from fewshot.core.errors import TaskError

#: Columns of the lists of miniImageNet.
_FILE, _LABEL = "filename", "label"


def lists_in(folder: Path) -> dict[str, Path]:
    """The lists of a folder by part, as miniImageNet has them: train.csv, val.csv, test.csv; file names and labels."""
    found = {PART_NAMES[path.stem]: path for path in sorted(folder.glob("*.csv")) if path.stem in PART_NAMES}
    return {part: path for part, path in found.items() if _begins_as_list(path)}


def _begins_as_list(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline(200).strip().lower() == f"{_FILE},{_LABEL}".encode()


def listed_rows(lists: Mapping[str, Path], images: Sequence[Row], folder: Path) -> dict[str, list[Row]]:
    """Rows by part, each image with the label of the list that names its file.

    Raises:
        TaskError: a list names an image that is not there.
    """
    known = {str(row.values["id"]).rpartition("/")[2]: row for row in images}
    parts: dict[str, list[Row]] = {}
    for part, path in lists.items():
        with path.open(encoding="utf-8", newline="") as file:
            for number, line in enumerate(csv.DictReader(file), start=2):
                row = known.get(line[_FILE] or "")
                if row is None:
                    raise TaskError(f"{path}:{number}: no image {line[_FILE]!r} in {folder} that can be read")
                parts.setdefault(part, []).append(Row({**row.values, "label": line[_LABEL]}, row.where, row.number))
    return parts


def listed_splits(folder: Path) -> dict[str, ClassSplit]:
    """Class splits as CIFAR-FS has them: splits/NAME/train.txt, val.txt and test.txt with a class per line."""
    if not folder.is_dir():
        return {}
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(folder.glob("splits/*/*.txt")):
        if part := PART_NAMES.get(path.stem):
            names = path.read_text(encoding="utf-8").split("\n")
            found.setdefault(path.parent.name, {})[part] = [name.strip() for name in names if name.strip()]
    return {name: {part: split.get(part, []) for part in PARTS} for name, split in found.items() if "train" in split}
