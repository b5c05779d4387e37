"""The files of a folder or of a zip file, by their path inside it; nothing is extracted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fewshot.core.errors import TaskError
from fewshot.core.images import SUFFIXES, InFile, InZip, open_zip

#: More members than any few-shot data set has.
_MANY = 2_000_000


@dataclass(frozen=True)
class Member:
    """An image file: its parts below the folders that all have in common, and its place."""

    parts: tuple[str, ...]
    place: InFile | InZip

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that it lies in."""
        return self.parts[:-1]


def members(source: Path, depth: int | None = None) -> tuple[list[Member], int]:
    """The image files of a folder or zip file in the order of their names, and the number of other files.

    Args:
        depth: how many folders, that all images lie in, are no part of their classes; None for as many as there are.

    Raises:
        TaskError: it cannot be read, or a zip file whose members would lie outside of it.
    """
    files = list(_in_zip(source) if source.is_file() else _in_folder(source))
    images = sorted((member for member in files if _is_image(member.parts[-1])), key=lambda member: member.parts)
    shared = _shared([member.folders for member in images], depth)
    return [Member(member.parts[shared:], member.place) for member in images], len(files) - len(images)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _hidden(parts: tuple[str, ...]) -> bool:
    """Whether a system wrote it beside the data: .DS_Store, __MACOSX, Thumbs.db."""
    return any(part.startswith((".", "__MACOSX")) for part in parts) or parts[-1].lower() in (
        "thumbs.db",
        "desktop.ini",
    )


def _in_folder(folder: Path) -> Iterator[Member]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if not _hidden(parts) and path.is_file():
            yield Member(parts, InFile(path))


def _in_zip(path: Path) -> Iterator[Member]:
    infos = open_zip(path).infolist()
    if len(infos) > _MANY:
        raise TaskError(f"{path}: {len(infos):,} members are more than any set of images here has")
    for info in infos:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if ".." in parts or parts[:1] == ("/",) or any(":" in part for part in parts[:1]):
            raise TaskError(f"{path}: refused: the member {info.filename!r} would lie outside of the archive")
        if parts and not info.is_dir() and not _hidden(parts):
            yield Member(parts, InZip(path, info.filename))


def _shared(folders: list[tuple[str, ...]], limit: int | None) -> int:
    """How many folders all images lie in, but for the innermost one of each, which is its class; `limit` at most."""
    depth = 0
    while folders and depth != limit and all(len(each) > depth + 1 for each in folders):
        if any(each[depth] != folders[0][depth] for each in folders):
            break
        depth += 1
    return depth
