"""The cache of models: folders that are complete or not there at all, each written by one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fewshot.core.errors import FewshotError, StorageError
from fewshot.core.hashing import canonical_json
from fewshot.core.paths import cache_dir

#: Written last into a folder of the cache: a folder that has it is complete.
RECORD = "fewshot.json"


def model_home(name: str, sha256: str) -> Path:
    """The folder of a model, by the hash of its weights; it need not be there yet."""
    return cache_dir("models") / f"{name}-{sha256[:16]}"


def complete(home: Path) -> Path | None:
    """The folder itself if it is complete, else None."""
    return home if (home / RECORD).is_file() else None


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One process or thread at a time; a lock dies with its process.

    Raises:
        StorageError: the cache cannot be written.
    """
    with writing(home):
        path = home.with_name(f".{home.name}.lock")
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def staging(home: Path) -> Iterator[Path]:
    """A folder beside `home` to work in, gone afterwards: also where the process is told to end, or was killed before.

    The caller holds the lock of `home`, so whatever lies there from before belongs to nobody.
    """
    prefix = f".{home.name}."
    with writing(home), _ended_politely():
        for left in home.parent.glob(f"{prefix}*/"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=prefix) as folder:
            yield Path(folder)


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Within, SIGTERM unwinds the process as Ctrl-C does, where nobody else listens to it."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not mine:
        yield
        return

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Errors of the disk within become a StorageError that says how to make room."""
    try:
        yield
    except FewshotError:
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write to {home.parent}: {error.strerror or error}. "
            "Make room (up to eight times what a model is to download), or set FEWSHOT_CACHE to a folder that can be "
            "written"
        ) from error


@contextmanager
def weights_written() -> Iterator[None]:
    """A full disk is an OSError within: safetensors makes an error of its own of it."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise OSError(str(error)) from error


def publish(source: Path, home: Path, record: dict[str, str]) -> Path:
    """Put a finished folder in its place at once, so that no interruption leaves half a model there."""
    (source / RECORD).write_text(canonical_json(record), encoding="utf-8")
    if home.exists():
        shutil.rmtree(home)
    source.replace(home)
    return home


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
