"""Images as examples. An image goes by the hash of its bytes, and knows where these are.

Two images of the same content are one text wherever they lie, and the name of an image tells nothing of its class: what
holds of texts (episodes, pairing, duplicates, leaks, stored runs) holds of images.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from fewshot.core.errors import MissingExtra, TaskError, UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
#: What Pillow may take a file for: formats that are read by code, none by calling another program.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
#: Larger files and images are no examples for a learner of small images, but mistakes or attacks.
MAX_BYTES, MAX_PIXELS = 64 << 20, 50_000_000
#: Members of zip files of more bytes than this are no images if they unpack to more than so many times their size.
_SMALL, _MOST_PACKED = 1 << 20, 200
#: Hexadecimal digits of an image's name: 128 bits.
_DIGITS = 32
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, zlib.error)


class Place(Protocol):
    """Where the content of an image is."""

    def read(self) -> bytes | np.ndarray:
        """The bytes of a file, or pixels (height, width) or (height, width, channels) uint8. Raises TaskError."""
        ...


@dataclass(frozen=True)
class InFile:
    """A file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> bytes:
        """Its bytes."""
        try:
            size = self.path.stat().st_size
            if size > MAX_BYTES:
                raise TaskError(f"{self}: {size:,} bytes are more than the {MAX_BYTES:,} that are read of an image")
            return self.path.read_bytes()
        except OSError as error:
            raise TaskError(f"{self}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class InZip:
    """A member of a zip file; nothing is extracted."""

    path: Path
    member: str

    def __str__(self) -> str:
        return f"{self.path}, member {self.member}"

    def read(self) -> bytes:
        """Its bytes."""
        try:
            archive = open_zip(self.path)
            _refuse_bomb(archive.getinfo(self.member), self)
            return archive.read(self.member)
        except (
            OSError,
            EOFError,
            KeyError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise TaskError(f"{self}: cannot be read: {error}") from error


@dataclass(frozen=True, eq=False)
class InMemory:
    """Pixels, or the bytes of a file, in memory. `origin` is for messages."""

    content: bytes | np.ndarray
    origin: str = "an array"

    def __str__(self) -> str:
        return self.origin

    def read(self) -> bytes | np.ndarray:
        """The content."""
        return self.content


class Image(str):
    """The name of an image by its content, which knows the way to it.

    Attributes:
        place: where the content is.
        turn: by how many degrees it is turned, counter-clockwise; a turned image is another one.
    """

    place: Place
    turn: int

    def __new__(cls, name: str, place: Place, turn: int = 0) -> Self:
        image = super().__new__(cls, name)
        image.place, image.turn = place, turn
        return image

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.place, self.turn))

    @classmethod
    def at(cls, place: Place) -> Self:
        """The image at a place, by its content. Raises TaskError where it is no image, or one that is too large."""
        content = place.read()
        _check(content, place)
        return cls(_name(content), place)

    def turned(self, degrees: int) -> Image:
        """The same, turned by a multiple of 90 degrees."""
        turn = (self.turn + degrees) % 360
        plain = self.partition(" turned ")[0]
        return Image(f"{plain} turned {turn}" if turn else plain, self.place, turn)


def as_image(source: str | Path | np.ndarray | Image) -> Image:
    """An image from a file or from pixels.

    Args:
        source: a path, or pixels (height, width) or (height, width, 3): uint8, or floats from 0 to 1.

    Raises:
        TaskError, UsageError: no image.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, str | Path):
        return Image.at(InFile(Path(source)))
    return Image.at(InMemory(_as_bytes(np.asarray(source))))


def pixels(images: Sequence[Any], size: int, channels: int) -> np.ndarray:
    """(len(images), channels, size, size) uint8: resized without keeping the aspect, grey for 1 channel, RGB for 3.

    Raises:
        UsageError: a text among them.
        TaskError: an image that cannot be read any more, or is another one now.
    """
    found = np.empty((len(images), channels, size, size), np.uint8)
    for at, image in enumerate(images):
        if not isinstance(image, Image):
            raise UsageError(
                f"images are read here, and {str(image)[:60]!r} is a text; use an encoder of texts, or a task of images"
            )
        found[at] = np.rot90(_drawn(image, size, channels), image.turn // 90, axes=(1, 2))
    return found


def open_zip(path: Path) -> zipfile.ZipFile:
    """The archive, opened once as long as it is the same file. Raises TaskError where it is none."""
    try:
        found = path.stat()
        return _opened_zip(path, found.st_mtime_ns, found.st_size)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise TaskError(f"{path}: not a readable zip file: {error}") from error


@lru_cache(maxsize=8)
def _opened_zip(path: Path, changed: int, size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _refuse_bomb(member: zipfile.ZipInfo, place: InZip) -> None:
    """Refuse a member that unpacks to more than an image is. What Pillow reads is packed already."""
    if member.file_size > MAX_BYTES:
        raise TaskError(f"{place}: unpacked, {member.file_size:,} bytes are more than the {MAX_BYTES:,} of an image")
    if member.file_size > _SMALL and member.file_size > _MOST_PACKED * member.compress_size:
        times = member.file_size // max(1, member.compress_size)
        raise TaskError(f"{place}: it unpacks to {times:,} times its size, which no image does")


def _name(content: bytes | np.ndarray) -> str:
    parts = (content,) if isinstance(content, bytes) else (repr(content.shape).encode(), content.tobytes())
    return f"image:{hashlib.sha256(b''.join(parts)).hexdigest()[:_DIGITS]}"


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """Pixels as uint8. Raises UsageError where they are none."""
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3)) or not values.size:
        raise UsageError(f"pixels are (height, width) or (height, width, 3), and these are {values.shape}")
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f" or not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise UsageError(f"pixels are uint8, or floats from 0 to 1, and these are {values.dtype} of other values")
    return np.round(values * 255).astype(np.uint8)


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise MissingExtra("reading images", "images") from error
    return PIL


def _opened(content: bytes | np.ndarray, place: Place) -> Any:
    """The image of Pillow, not decoded yet."""
    library = _pillow()
    if isinstance(content, np.ndarray):
        return library.Image.fromarray(content[..., 0] if content.shape[2:] == (1,) else content)
    try:
        with warnings.catch_warnings(action="ignore"):  # of sizes that are refused anyhow
            return library.Image.open(io.BytesIO(content), formats=_FORMATS)
    except library.Image.DecompressionBombError as error:
        raise TaskError(f"{place}: {error}") from error
    except _UNREADABLE as error:
        raise TaskError(f"{place}: not a readable image") from error


def _check(content: bytes | np.ndarray, place: Place) -> None:
    """Look at the header, and at the checksums of formats that have some. Raises TaskError with what is wrong."""
    opened = _opened(content, place)
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise TaskError(
            f"{place}: {width} x {height} pixels are more than the {MAX_PIXELS:,} that are read of an image"
        )
    try:
        opened.verify()
    except _UNREADABLE as error:
        raise TaskError(f"{place}: not a readable image: {error}") from error


def _drawn(image: Image, size: int, channels: int) -> np.ndarray:
    """(channels, size, size) uint8 of an image, not turned yet."""
    content = image.place.read()
    if _name(content) != image.partition(" turned ")[0]:
        raise TaskError(f"{image.place}: another image is there than when the task was read; read it again")
    try:
        shown = _plain(_opened(content, image.place)).convert("L" if channels == 1 else "RGB")
        drawn = np.asarray(shown.resize((size, size), _pillow().Image.Resampling.BILINEAR))
    except _UNREADABLE as error:
        raise TaskError(f"{image.place}: not a readable image: {error}") from error
    return drawn.reshape(size, size, channels).transpose(2, 0, 1)


def _plain(opened: Any) -> Any:
    """As it is looked at: upright, of 8 bits, on white where it is transparent."""
    library = _pillow()
    upright = library.ImageOps.exif_transpose(opened)
    if upright.mode.startswith("I"):
        return library.Image.fromarray((np.asarray(upright).clip(0, 65535) / 257).round().astype(np.uint8))
    if upright.mode == "F":
        return library.Image.fromarray(np.asarray(upright).clip(0, 255).astype(np.uint8))
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        shown = upright.convert("RGBA")
        white = library.Image.new("RGBA", shown.size, "white")
        return library.Image.alpha_composite(white, shown)
    return upright
