"""Images in files of arrays, as miniImageNet, tieredImageNet, CIFAR-FS and FC100 are passed on.

FILE.npz            `images` (or `data`, `x`) and `labels` (or `y`)
FILE.pkl, .pickle   {"image_data": images, "class_dict": {class: positions}}    miniImageNet
                    {"data": images, "labels": classes}                         CIFAR-FS, FC100, miniImageNet
PART_images.npz     with PART_labels.pkl {"label_specific": classes}            tieredImageNet
PART_images_png.pkl, a list of PNG files, with the same                         tieredImageNet
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evals.sources import PART_NAMES, Row
from fewshot.core.errors import TaskError
from fewshot.core.images import Image, InMemory
from fewshot.core.plain_pickle import load_plain

ARRAYS = (".npz", ".pkl", ".pickle")
_IMAGES = ("images", "image_data", "data", "x")
_LABELS = ("labels", "label_specific", "y")
_CLASS_POSITIONS = "class_dict"
_AS_NPZ = "save them as .npz: numpy.savez(FILE, images=(n, height, width, 3) uint8, labels=(n,))"


def find_arrays(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files of arrays of a folder by part, as a word of their names says it."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in ARRAYS and (part := _part_of(path.stem)):
            found.setdefault(part, []).append(path)
    return {part: tuple(files) for part, files in found.items()}


def _part_of(stem: str) -> str | None:
    """By the last word that is one: miniImageNet_category_split_train_phase_val holds validation classes or rows."""
    words = re.split(r"[^a-z]+", stem.lower())
    return next((PART_NAMES[word] for word in reversed(words) if word in PART_NAMES), None)


def array_rows(files: Sequence[Path]) -> list[Row]:
    """The images of one part.

    Args:
        files: that hold images and labels together, or one of each.

    Raises:
        TaskError: no images, no labels, other shapes, or a pickle of more than plain data.
    """
    content: dict[str, Any] = {}
    for path in files:
        content |= _content(path)
    where = " and ".join(map(str, files))
    images = next((content[name] for name in _IMAGES if name in content), None)
    if images is None:
        raise TaskError(f"{where}: no images in it under {', '.join(_IMAGES)}; {_AS_NPZ}")
    found = _files(images) if isinstance(images, list) else _pixels(images, where)
    labels = _labels(content, len(found), where)
    return [_row(found[at], label, where, at) for at, label in enumerate(labels)]


def _content(path: Path) -> Mapping[str, Any]:
    if path.suffix.lower() != ".npz":
        content = load_plain(path)
        named = content if isinstance(content, dict) else {_IMAGES[0]: content}
        return {str(key): value for key, value in named.items()}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise TaskError(f"{path}: not a readable .npz file of numbers: {error}") from error


def _files(images: Sequence[Any]) -> list[bytes]:
    """The bytes of image files, which are written as bytes or as arrays of them."""
    return [each if isinstance(each, bytes) else np.asarray(each, np.uint8).tobytes() for each in images]


def _pixels(images: Any, where: str) -> np.ndarray:
    """(n, height, width[, channels]) uint8."""
    found = np.asarray(images)
    if found.dtype != np.uint8 or found.ndim not in (3, 4) or (found.ndim == 4 and found.shape[3] not in (1, 3)):
        raise TaskError(
            f"{where}: images are (n, height, width) or (n, height, width, 3) uint8, and these are {found.shape} "
            f"{found.dtype}; {_AS_NPZ}"
        )
    return found


def _labels(content: Mapping[str, Any], count: int, where: str) -> list[str]:
    """The class of every image."""
    if positions := content.get(_CLASS_POSITIONS):
        labels = [""] * count
        for name, at in _positions(positions, count, where):
            labels[at] = name
        if not all(labels):
            raise TaskError(f"{where}: image {labels.index('')} is of no class in {_CLASS_POSITIONS}")
        return labels
    found = next((content[name] for name in _LABELS if name in content), None)
    if found is None:
        raise TaskError(f"{where}: no labels in it under {', '.join(_LABELS)}; {_AS_NPZ}")
    if len(found) != count:
        raise TaskError(f"{where}: {count} images and {len(found)} labels; there must be as many")
    return [each.decode() if isinstance(each, bytes) else str(each) for each in np.asarray(found).tolist()]


def _positions(classes: Mapping[str, Sequence[int]], count: int, where: str) -> Iterator[tuple[str, int]]:
    for name, positions in classes.items():
        for at in np.asarray(positions).tolist():
            if not isinstance(at, int) or not 0 <= at < count:
                raise TaskError(f"{where}: class {name!r} has an image {at!r}, and there are {count}")
            yield name, at


def _row(content: bytes | np.ndarray, label: str, where: str, number: int) -> Row:
    origin = f"{where}, image {number}"
    image = Image.at(InMemory(content, origin))
    return Row({"id": f"{Path(where).stem}-{number}", "text": image, "label": label}, origin, number)
