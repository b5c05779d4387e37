"""Where things are kept on the user's machine, and how a file is written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from fewshot.core.errors import StorageError, UsageError

_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def cache_dir(*parts: str) -> Path:
    """A folder below the cache: `$FEWSHOT_CACHE`, else the platform's user cache directory. It is created (0700)."""
    import platformdirs

    root = Path(os.environ.get("FEWSHOT_CACHE") or platformdirs.user_cache_dir("fewshot"))
    folder = root.joinpath(*parts)
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
            f"{what} {name!r} is not usable: use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit"
        )
    return name


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one, never half of it."""
    raw = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
