"""Where things are kept on the user's machine, and how a file is written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fewshot.core.errors import StorageError, UsageError

#: Hangul, kana and Chinese characters beside a-z: none of them looks like another letter.
_LETTERS = r"a-z0-9가-힣ぁ-ゖァ-ヺー一-鿿"
_SAFE_NAME = re.compile(rf"[{_LETTERS}][{_LETTERS}._-]{{0,63}}")
#: Names of files that are open already.
_DESCRIPTOR = re.compile(r"/dev/(?P<name>stdin|stdout|stderr)|(/dev|/proc/self)/fd/(?P<number>\d+)")
#: Files that runs, comparisons, predictors and trained learners consist of.
_PARTS = re.compile(
    r"run\.(sqlite(-wal|-shm|-journal)?|lock|json)|(comparison|predictor|recommendation|learner|cost)\.json"
    r"|support\.jsonl|curve\.(csv|svg)"
)
#: What the disk has against a file that is being filled; other errors there come from whoever fills it.
_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS))


def cache_root() -> Path:
    """The cache: `$FEWSHOT_CACHE`, else the platform's user cache directory. It need not exist."""
    import platformdirs

    return Path(os.environ.get("FEWSHOT_CACHE") or platformdirs.user_cache_dir("fewshot"))


def cache_dir(*parts: str) -> Path:
    """A folder below the cache, which is created (0700)."""
    folder = cache_root().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(
            f"cannot create {folder}: {error.strerror}. Set FEWSHOT_CACHE to a folder that can be written"
        ) from error
    return folder


def data_dir() -> Path | None:
    """The folder of the user's data sets, `$FEWSHOT_DATA`, or None."""
    value = os.environ.get("FEWSHOT_DATA")
    return Path(value) if value else None


def safe_name(name: str, what: str) -> str:
    """Refuse names that could leave their folder or confuse a file system."""
    if not _SAFE_NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"{what} {name!r} is not usable: use 1 to 64 of a-z, Hangul, kana, Chinese characters, 0-9 . _ - and begin "
            "with a letter or digit"
        )
    return name


def write_atomically(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one, never half of it.

    Args:
        mode: permissions of a new file, before the umask; one that is there keeps its own.

    Raises:
        StorageError: it cannot be written.
    """
    with opened_atomically(path, mode=mode) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def opened_atomically(path: Path, *, mode: int = 0o666) -> Iterator[IO[bytes]]:
    """Yield a file to write to that takes the place of `path` when the block ends well, and vanishes when it does not.

    It is written beside the file that `path` leads to, so a link stays one. A terminal, a pipe or a device is
    written to directly.

    Args:
        mode: as in `write_atomically`.

    Raises:
        StorageError: it cannot be written.
    """
    with _storage_errors(path):
        stream = _stream(path)
    if stream is not None:
        with _storage_errors(path, _DISK), stream:
            yield stream
        return
    target = Path(os.path.realpath(path))
    with _storage_errors(path):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own length: that of the file may be as long as a name can be.
        beside = target.with_name(f".fewshot-{secrets.token_hex(8)}.part")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with _storage_errors(path, _DISK):
                yield file
            with _storage_errors(path):
                file.flush()
                os.fsync(descriptor)
                if target.exists():
                    os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
                beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def refuse_overwriting(output: Path, inputs: Iterable[Path], option: str = "-o") -> None:
    """Refuse an output that is one of the inputs, by whatever path or link, or a part of one that is a folder.

    Args:
        inputs: files and folders; those that do not exist cannot be overwritten.
        option: that names the output, for the message.

    Raises:
        UsageError: with the input.
    """
    if not output.exists() or is_stream(output):
        return
    for given in inputs:
        if _exists(given) and (output.samefile(given) or _is_part(output, given)):
            raise UsageError(f"{option} {output} would write over the input {given}: choose another output")


def _exists(path: Path) -> bool:
    """Whether there is such a file or folder; what can be no path (too long, a null character) is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_stream(path: Path) -> bool:
    """Whether a path leads to a terminal, a pipe or a device, or is the name of an open file (`/dev/stdout`)."""
    if _DESCRIPTOR.fullmatch(str(path)):
        return True
    return path.exists() and not (path.is_file() or path.is_dir())


def _is_part(file: Path, folder: Path) -> bool:
    """Whether a file is one of those that a run, a predictor, a trained learner or a model in this folder consists of.

    Other files may lie there: a report in the folder of its run is written again like any other.
    """
    if not folder.is_dir() or not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
        return False
    return _PARTS.fullmatch(file.name) is not None or (folder / "config.json").is_file()


def _stream(path: Path) -> IO[bytes] | None:
    """What to write to where there is no file to be replaced; an open file is written to where it stands."""
    named = _DESCRIPTOR.fullmatch(str(path))
    if named:
        number = named["number"] or {"stdin": 0, "stdout": 1, "stderr": 2}[named["name"]]
        return os.fdopen(os.dup(int(number)), "wb")
    return path.open("wb") if is_stream(path) else None


@contextmanager
def _storage_errors(path: Path, reasons: frozenset[int] | None = None) -> Iterator[None]:
    """What the file system has against writing (for these reasons, where some are given) is ours to tell."""
    try:
        yield
    except OSError as error:
        if reasons is not None and error.errno not in reasons:
            raise
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
