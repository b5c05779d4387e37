"""The one SQLite file of a registry: its classes, what was done to them, and the encoder that their vectors come from.

A rollback journal rather than a write-ahead log: the file is all there is whenever nobody writes, so it can be copied
and read from a medium that cannot be written; a committed change survives a power failure too (`synchronous=FULL`); and
changes are small, so readers wait for milliseconds. What a writer was killed in the middle of is undone by whoever
opens the file next.

A class that is removed leaves an empty row: rows never move, and `changes_since` tells a reader that holds the vectors
in memory all that it must look at again.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evals import sqlite
from fewshot.core.errors import StorageError, UsageError

_APPLICATION, _VERSION = 0x66735052, 1
#: Ten vectors of 384 dimensions lie in one page.
_SCHEMA = f"""
PRAGMA page_size = 16384;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE classes (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE, name TEXT, items INTEGER NOT NULL, vector BLOB, checksum INTEGER,
    updated TEXT NOT NULL, revision INTEGER NOT NULL
) STRICT;
CREATE INDEX classes_by_revision ON classes (revision);
CREATE TABLE history (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, verb TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
    items INTEGER NOT NULL, detail TEXT NOT NULL
) STRICT;
"""
#: Seconds to wait for another process that writes.
_PATIENCE = 30.0
_ROWS_AT_ONCE = 16_384
#: What SQLite keeps in memory: the index of names of a large registry fits.
_CACHE_KIB = 65_536


@dataclass(frozen=True)
class Stored:
    """A class as it is stored. Its vector is empty where it was removed."""

    id: int
    name: str
    items: int
    vector: bytes


class RegistryFile:
    """An open file. One connection, which threads take in turns.

    Args:
        read_only: refuse to write.

    Raises:
        UsageError: there is no such file, or it is none of ours.
        StorageError: it cannot be opened, or is damaged.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file. Make a registry with: fewshot registry create {path}")
        self.path = path
        self._lock = threading.RLock()
        with sqlite.storage_errors(path):
            self._database = sqlite3.connect(
                # A reader too, so that it can undo what a writer was killed in; where it cannot write, it only reads.
                f"{path.resolve().as_uri()}?mode=rw",
                uri=True,
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._require_ours()
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute(f"PRAGMA query_only = {read_only:d}")
                self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            except BaseException:
                self._database.close()
                raise

    @staticmethod
    def require_new(path: Path) -> None:
        """Raises UsageError where there is something of this name."""
        if path.exists():
            raise UsageError(f"{path} is there already; choose another name for the new registry")

    @staticmethod
    def create(path: Path, facts: dict[str, str | None]) -> None:
        """Write a new file without classes.

        Raises:
            UsageError: there is a file of this name.
            StorageError: it cannot be written.
        """
        RegistryFile.require_new(path)
        marks = ", ".join(["(?, ?)"] * len(facts))
        values = tuple(value for fact in facts.items() for value in fact)
        sqlite.create(path, _SCHEMA, {f"INSERT INTO facts VALUES {marks}": values})

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A change, which is made as a whole when the block ends, or not at all.

        Raises:
            StorageError: another process has been writing for long, or the file cannot be written.
        """
        with self._lock, sqlite.storage_errors(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                last = self._database.execute("SELECT coalesce(max(revision), 0) FROM classes").fetchone()[0]
                yield Transaction(self, self._database, last + 1)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def facts(self) -> dict[str, str | None]:
        """What is known of the registry as a whole."""
        return dict(self._select("SELECT name, value FROM facts"))

    def classes(self) -> list[tuple[str, int, str]]:
        """Name, number of items and time of the last change of each class, by age."""
        return self._select("SELECT name, items, updated FROM classes WHERE key IS NOT NULL ORDER BY id")

    def history(self, key: str | None) -> list[tuple[str, str, str, int, str]]:
        """Time, verb, name, number of items and detail of what was done, to one class or to all, in order."""
        which, values = ("", ()) if key is None else (" WHERE key = ?", (key,))
        return self._select(f"SELECT at, verb, name, items, detail FROM history{which} ORDER BY id", values)

    def changes_since(self, revision: int) -> Iterator[tuple[int, list[Stored]]]:
        """What differs from what a reader saw: classes by id, some at a time, each time with their latest revision.

        Raises:
            StorageError: a vector is damaged.
        """
        columns = "SELECT id, name, items, vector, checksum, revision FROM classes"
        newer = "" if revision == 0 else f" INDEXED BY classes_by_revision WHERE revision > {revision}"
        with self._lock, sqlite.storage_errors(self.path):
            found = self._database.execute(f"{columns}{newer} ORDER BY id")
            while rows := found.fetchmany(_ROWS_AT_ONCE):
                yield max(row[5] for row in rows), [self._checked(*row[:5]) for row in rows]

    def _select(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        with self._lock, sqlite.storage_errors(self.path):
            return self._database.execute(statement, values).fetchall()

    def _checked(self, number: int, name: str, items: int, vector: bytes | None, checksum: int | None) -> Stored:
        if vector is not None and zlib.crc32(vector) != checksum:
            raise StorageError(
                f"{self.path} is damaged: the vector of class {name!r} is not what was written. Remove that class and "
                "add it again, or restore a copy"
            )
        return Stored(number, name, items, vector or b"")

    def _require_ours(self) -> None:
        """Raises UsageError for a file of something else."""
        try:
            application = self._database.execute("PRAGMA application_id").fetchone()[0]
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_NOTADB:
                raise
            application = version = None
        if application != _APPLICATION:
            raise UsageError(f"{self.path} is no registry of prototypes; nothing was changed in it")
        if version != _VERSION:
            raise UsageError(f"{self.path} is a registry of version {version}, and version {_VERSION} is read here")


class Transaction:
    """A change that is being made. What it reads, nobody else can change meanwhile."""

    def __init__(self, file: RegistryFile, database: sqlite3.Connection, revision: int) -> None:
        self._file, self._database, self._revision = file, database, revision
        self._at = datetime.now(UTC).isoformat(timespec="seconds")

    def fact(self, name: str) -> str | None:
        """One fact; None where it is not known."""
        found = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return found and found[0]

    def set_fact(self, name: str, value: str | None) -> None:
        """Note or replace a fact."""
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def find(self, key: str, *, whole: bool = True) -> Stored | None:
        """The class of this key.

        Args:
            whole: whether its vector must be sound.
        """
        statement = "SELECT id, name, items, vector, checksum FROM classes WHERE key = ?"
        found = self._database.execute(statement, (key,)).fetchone()
        if found is None:
            return None
        return self._file._checked(*found) if whole else Stored(*found[:4])

    def names(self) -> list[str]:
        """All names."""
        return [name for (name,) in self._database.execute("SELECT name FROM classes WHERE key IS NOT NULL")]

    def add(self, rows: Iterable[tuple[str, str, int, bytes]]) -> None:
        """New classes: key, name, number of items, vector."""
        self._database.executemany(
            "INSERT INTO classes (key, name, items, vector, checksum, updated, revision) VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((key, name, n, vector, zlib.crc32(vector), self._at, self._revision) for key, name, n, vector in rows),
        )

    def replace(self, number: int, items: int, vector: bytes) -> None:
        """Another vector for a class."""
        self._database.execute(
            "UPDATE classes SET items = ?, vector = ?, checksum = ?, updated = ?, revision = ? WHERE id = ?",
            (items, vector, zlib.crc32(vector), self._at, self._revision, number),
        )

    def remove(self, number: int) -> None:
        """Take a class away."""
        self._database.execute(
            "UPDATE classes SET key = NULL, name = NULL, items = 0, vector = NULL, checksum = NULL, updated = ?,"
            " revision = ? WHERE id = ?",
            (self._at, self._revision, number),
        )

    def note(self, verb: str, rows: Iterable[tuple[str, str, int, str]]) -> None:
        """Write into the history: key, name, number of items, detail."""
        self._database.executemany(
            "INSERT INTO history (at, verb, key, name, items, detail) VALUES (?, ?, ?, ?, ?, ?)",
            ((self._at, verb, *row) for row in rows),
        )
