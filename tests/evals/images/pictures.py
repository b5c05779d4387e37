"""Small pictures of simple things, in memory and in files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image as Pillow


def picture(kind: int, number: int = 0, size: int = 12) -> np.ndarray:
    """(size, size) uint8: a white ground with a black bar, where and how wide by the kind, and a grain of noise."""
    drawn = np.full((size, size), 255, np.uint8)
    at = 1 + 2 * (kind % 5)
    bar = (slice(at, at + 2), slice(None)) if kind < 5 else (slice(None), slice(at, at + 2))
    drawn[bar] = 0
    rng = np.random.default_rng(97 * kind + number)
    drawn[tuple(rng.integers(0, size, 2))] = 100
    drawn[0, 0] = number
    return drawn


def png(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, kind)
    return file.getvalue()


def files(classes: int = 3, each: int = 4, prefix: str = "", first: int = 0) -> dict[str, bytes]:
    """Path -> bytes of a folder per class, of the pictures from `first` on."""
    return {
        f"{prefix}class{kind}/{n}.png": png(picture(first + kind, n)) for kind in range(classes) for n in range(each)
    }


def write_folder(folder: Path, content: Mapping[str, bytes]) -> Path:
    for name, held in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)
    return folder


def write_zip(path: Path, content: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, held in content.items():
            archive.writestr(name, held)
    return path
