"""One writer per folder: a lock that the operating system releases when its process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from fewshot.core.errors import StorageError, UsageError


class FolderLock:
    """An exclusive lock on a folder, which is made where it is missing. Use it with `with`, or release it.

    Args:
        name: of the lock's file in the folder.
        doing: what is being done there, for the one who comes second: "written", "trained in".
        advice: how to go on for the one who comes second.
        keep: whether the lock's file stays when the lock is released.

    Raises:
        UsageError: another process holds it; the message says which.
        StorageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, name: str, *, doing: str, advice: str, keep: bool = False) -> None:
        self._path, self._keep = folder / name, keep
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600), "r+")
        except OSError as error:
            raise StorageError(f"cannot use {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = self._is_there()
        except BlockingIOError:
            held = False
        if not held:
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise UsageError(f"{folder} is being {doing} by process {owner}; {advice}")
        try:
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n")
            self._file.flush()
        except OSError as error:
            self._file.close()
            raise StorageError(f"cannot use {self._path}: {error.strerror}") from error

    def release(self) -> None:
        """Let the next one in."""
        if not self._keep:
            self._path.unlink(missing_ok=True)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _is_there(self) -> bool:
        """Whether the file that was locked is still the one of this name: its owner may just have taken it away."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False
