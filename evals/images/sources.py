"""Which images there are, and the class of each: the folder that it lies in, or what an array file says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.images.arrays import ARRAYS, array_rows, find_arrays
from evals.images.lists import listed_rows, listed_splits, lists_in
from evals.images.members import Member, members
from evals.sources import PART_NAMES, Row, find_files
from evals.task import PARTS, ClassSplit
from fewshot.core.errors import TaskError
from fewshot.core.images import SUFFIXES, Image, InFile

ARCHIVE = ".zip"
#: Name of the class split that follows the folders or files of a source.
_BY_PART = "published"
_TURNS = (90, 180, 270)
#: Files of a folder that are looked at before it is said to hold no images.
_LOOKED_AT = 10_000


@dataclass(frozen=True)
class ImageRows:
    """What a source holds: rows by part, and which classes are for training, validation and test."""

    parts: Mapping[str, Sequence[Row]]
    class_splits: Mapping[str, ClassSplit]


def holds_images(path: Path) -> bool:
    """Whether a file or folder of the user is a source of images: by its suffix, or by what lies in it."""
    if path.is_file():
        return path.suffix.lower() in (ARCHIVE, *ARRAYS)
    if not path.is_dir():
        return False
    if find_files(path):
        return bool(lists_in(path))  # texts, with whatever pictures beside them; or lists of images
    looked_at = (each for each, _ in zip(path.rglob("*"), range(_LOOKED_AT), strict=False))
    return bool(find_arrays(path)) or any(each.suffix.lower() in SUFFIXES for each in looked_at)


def read_images(
    source: Path,
    notify: Callable[[str], None],
    *,
    archives: Sequence[str] = (),
    class_splits: Mapping[str, Mapping[Any, Sequence[str]]] | None = None,
    turned: bool = False,
) -> ImageRows:
    """The images of a folder, of a zip file, or of files of arrays.

    Args:
        notify: told what is left out.
        archives: zip files of the folder, of which it consists.
        class_splits: classes by part, each by its name or by that of a folder of classes.
        turned: whether training classes, turned by 90, 180 and 270 degrees, are further training classes.

    Raises:
        TaskError: nothing can be read, no class, or a class split that names what is not there.
        MissingExtra: Pillow is not here.
    """
    found = _read(source, notify, archives)
    if class_splits:
        found = ImageRows(found.parts, {name: _expanded(split, found, name) for name, split in class_splits.items()})
    return _with_turned(found) if turned else found


def unlabelled(source: Path) -> Iterator[tuple[str, Image | TaskError]]:
    """The images of a folder or zip file, or a single one: the name of each, and the image or what is wrong with it."""
    single = source.is_file() and source.suffix.lower() in SUFFIXES
    found = [Member((source.name,), InFile(source))] if single else members(source)[0]
    for member in found:
        try:
            yield "/".join(member.parts), Image.at(member.place)
        except TaskError as error:
            yield "/".join(member.parts), error


def is_unlabelled(source: Path) -> bool:
    """Whether a file or folder of the user is one that `unlabelled` reads."""
    single = source.is_file() and source.suffix.lower() in (ARCHIVE, *SUFFIXES)
    return single or (source.is_dir() and holds_images(source))


def _read(source: Path, notify: Callable[[str], None], archives: Sequence[str]) -> ImageRows:
    if source.is_dir() and (arrays := find_arrays(source)):
        return _by_part({part: array_rows(files) for part, files in arrays.items()}, notify)
    if source.suffix.lower() in ARRAYS:
        return ImageRows({"all": array_rows((source,))}, {})
    found, others = _members([source / name for name in archives], 1) if archives else members(source)
    if others:
        notify(f"left out {others} files that are no images")
    if lists := lists_in(source):
        return _by_part(listed_rows(lists, _rows(found, notify), source), notify)
    if loose := sum(not member.folders for member in found):
        notify(f"left out {loose} images that lie in no folder: the folder of an image is its class")
    rows = _rows([member for member in found if member.folders], notify)
    if not rows:
        raise TaskError(f"{source}: no images in it that can be read; a folder per class is expected, as in cat/1.png")
    if {_part(row) for row in rows} <= PART_NAMES.keys() and all(_below_part(row) for row in rows):
        parts: dict[str, list[Row]] = {}
        for row in rows:
            moved = Row({**row.values, "label": _below_part(row)}, row.where, row.number)
            parts.setdefault(PART_NAMES[_part(row)], []).append(moved)
        return _by_part(parts, notify)
    return ImageRows({"all": rows}, listed_splits(source))


def _members(sources: Iterable[Path], depth: int) -> tuple[list[Member], int]:
    """Those of all sources; one that is in several counts once. The outermost folder of each is that of its archive."""
    found: dict[tuple[str, ...], Member] = {}
    others = 0
    for source in sources:
        of_source, besides = members(source, depth)
        found = {member.parts: member for member in of_source} | found
        others += besides
    return list(found.values()), others


def _rows(found: Iterable[Member], notify: Callable[[str], None]) -> list[Row]:
    """A row per image that can be read; the others are counted and told."""
    rows: list[Row] = []
    failures: list[str] = []
    for number, member in enumerate(found, start=1):
        try:
            image = Image.at(member.place)
        except TaskError as error:
            failures.append(str(error))
            continue
        values = {"id": "/".join(member.parts), "text": image, "label": "/".join(member.folders)}
        rows.append(Row(values, str(member.place), number))
    if failures:
        notify(f"left out {len(failures)} images that cannot be read; the first: {failures[0]}")
    return rows


def _part(row: Row) -> str:
    return str(row.values["label"]).partition("/")[0].lower()


def _below_part(row: Row) -> str:
    return str(row.values["label"]).partition("/")[2]


def _by_part(parts: Mapping[str, Sequence[Row]], notify: Callable[[str], None]) -> ImageRows:
    """Rows by part; where no class is in two parts, one pool of rows whose classes are split."""
    classes = {part: sorted({str(row.values["label"]) for row in rows}) for part, rows in parts.items()}
    together = [name for names in classes.values() for name in names]
    if len(classes) == 1:
        return ImageRows(parts, {})
    if len(set(together)) < len(together):
        notify(f"{' and '.join(classes)} share classes: their images are split, and the classes are not")
        return ImageRows(parts, {})
    split = {part: classes.get(part, []) for part in PARTS}
    return ImageRows({"all": [row for rows in parts.values() for row in rows]}, {_BY_PART: split})


def _expanded(split: Mapping[Any, Sequence[str]], found: ImageRows, name: str) -> ClassSplit:
    """The split with the classes of each folder in the place of its name."""
    classes = sorted({str(row.values["label"]) for rows in found.parts.values() for row in rows})
    return {
        part: [each for wanted in split.get(part, ()) for each in _classes_of(wanted, classes, name)] for part in PARTS
    }


def _classes_of(wanted: str, classes: Sequence[str], split: str) -> Iterator[str]:
    named = [each for each in classes if each == wanted or each.startswith(f"{wanted}/")]
    if not named:
        raise TaskError(f"class split {split!r} names {wanted!r}, and no class or folder of classes is called so")
    yield from named


def _with_turned(found: ImageRows) -> ImageRows:
    """With the turned training classes (Santoro et al., ICML 2016). Classes of validation and test stay as they are."""
    trained = {name for split in found.class_splits.values() for name in split["train"]}
    parts = {
        part: [*rows, *(_turned(row, turn) for turn in _TURNS for row in rows if row.values["label"] in trained)]
        for part, rows in found.parts.items()
    }
    splits = {
        name: {
            **split,
            "train": [*split["train"], *(_turned_name(each, turn) for turn in _TURNS for each in split["train"])],
        }
        for name, split in found.class_splits.items()
    }
    return ImageRows(parts, splits)


def _turned(row: Row, turn: int) -> Row:
    image = row.values["text"]
    values = {"id": f"{row.values['id']} turned {turn}", "text": image.turned(turn)}
    return Row({**values, "label": _turned_name(str(row.values["label"]), turn)}, row.where, row.number)


def _turned_name(name: str, turn: int) -> str:
    return f"{name} turned {turn}"
