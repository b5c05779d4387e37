"""SQLite files that survive `kill -9`: how they are opened, locked against a second writer, and checked.

WAL with `synchronous=NORMAL`: what was committed survives the death of the process at any moment. Only a power failure
can take the last few commits with it; it cannot damage the file.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fewshot.core.errors import StorageError, UsageError
from fewshot.core.locks import FolderLock

#: What a reader is told where a writer left its last step half done (a journal), or a log that nobody may use.
_UNFINISHED = (
    *(sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY, sqlite3.SQLITE_READONLY_CANTINIT),
    *(sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_CANTOPEN),
)
_UNFINISHED_THERE = (
    "the run in {folder} was interrupted while it was being written. Nothing is lost, but finishing its last step "
    "needs a folder that can be written: copy the whole folder to one, and use the copy"
)
#: How often, and how many seconds apart, to look whether another process has finished it.
_TRIES, _PAUSE = 50, 0.1


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing file, from any thread, and make sure that it is sound.

    What a writer was killed in the middle of is undone or completed first, for readers too.

    Raises:
        StorageError: it cannot be opened, is no database, or is damaged.
    """
    with storage_errors(path):
        if read_only:
            return _readable(path)
        connection = _sound(path, "mode=rw")
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection


def _sound(path: Path, how: str) -> sqlite3.Connection:
    """An open file whose content was checked."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, check_same_thread=False)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except BaseException:
        connection.close()
        raise
    return connection


def _readable(path: Path) -> sqlite3.Connection:
    """Open for reading. A reader cannot finish what a writer left: the file is opened for writing once, if it must."""
    for _ in range(_TRIES):
        try:
            return _sound(path, "mode=ro")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _UNFINISHED or not os.access(path, os.R_OK):
                raise
        if not any(path.with_name(path.name + suffix).exists() for suffix in ("-journal", "-wal")):
            return _sound(path, "mode=ro&immutable=1")  # nothing is left to be done, on a medium that nobody writes to
        if not _finish(path):
            time.sleep(_PAUSE)
    return _sound(path, "mode=ro")


def _finish(path: Path) -> bool:
    """Undo or complete what a writer was killed in the middle of. False while another process may be doing it.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        lock = writer_lock(path.parent)
    except UsageError:
        return False
    except StorageError as error:
        raise StorageError(_UNFINISHED_THERE.format(folder=path.parent)) from error
    with lock:
        try:
            close(_sound(path, "mode=rw"))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                raise
            raise StorageError(_UNFINISHED_THERE.format(folder=path.parent)) from error
    return True


def close(connection: sqlite3.Connection) -> None:
    """Close a writer's connection, leaving one file that can be copied and read from anywhere."""
    # A reader at work keeps the file in WAL mode, which is as safe, with two more files beside it. Do not wait for it.
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()


def create(path: Path, script: str, rows: dict[str, tuple[object, ...]]) -> None:
    """Write a new file as a whole or not at all, for its owner's eyes only.

    Args:
        script: the schema.
        rows: INSERT statements with their values.
    """
    temporary = path.with_name(f".{path.name}.new")
    with storage_errors(path):
        for left in (temporary, temporary.with_name(f"{temporary.name}-journal")):
            left.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(temporary)
        try:
            connection.executescript(script)
            with connection:
                for statement, values in rows.items():
                    connection.execute(statement, values)
        finally:
            connection.close()
        temporary.replace(path)


def writer_lock(folder: Path) -> FolderLock:
    """The lock of the one process that writes to the run in a folder.

    Raises:
        UsageError: another process holds it.
    """
    return FolderLock(
        folder, "run.lock", doing="written", advice="wait until it ends or take another --run-dir", keep=True
    )


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into StorageError."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(_explained(path, error)) from error
    except UnicodeDecodeError as error:  # SQLite quotes damaged bytes in its own message
        raise StorageError(_damaged(path, error)) from error
    except OSError as error:
        raise StorageError(f"cannot use {path}: {error.strerror}") from error


def _explained(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the low byte is the primary code
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(path, error)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return f"cannot use {path} ({error}): is the disk full or read-only? What was stored is safe"
    if code == sqlite3.SQLITE_BUSY:
        return f"{path} has been written by another process for long; try again when it is done. Nothing was changed"
    return f"cannot use {path}: {error}"


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is damaged ({error}); nothing was changed in it. Restore a copy, or begin anew"
