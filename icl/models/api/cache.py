"""Answers on disk, so that no request is paid for twice: one SQLite file that any number of processes may use."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fewshot.core.hashing import canonical_json, digest
from fewshot.core.paths import cache_dir

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
#: Part of every key: a change of what a stored answer means begins a new cache.
SCHEMA_VERSION = 1
#: Seconds to wait for another process that writes.
_LOCK_TIMEOUT = 60.0
_NO_DAMAGE = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM),
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_AUTH),
    }
)


def request_key(identity: dict[str, Any], path: str, body: dict[str, Any], sample: int = 0) -> str:
    """The key of a request: who is asked, what is asked, which of several samples, and what an answer looks like.

    Args:
        identity: provider, base URL, model and revision.
        path, body: of the HTTP request, all of it.
        sample: index among repeated requests.
    """
    return digest([SCHEMA_VERSION, identity, path, body, sample])


@dataclass(frozen=True)
class Summary:
    """What a cache holds. `models` counts answers by "provider model"."""

    path: Path
    answers: int
    bytes: int
    models: dict[str, int]


class ResponseCache:
    """JSON answers by key.

    A damaged file is moved aside and a new one begun; a damaged row counts as absent; a disk that cannot be written
    costs the cache, not the work. All three are logged as warnings.

    Args:
        path: the file; created on first use, for its owner's eyes only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_dir("responses") / "responses.sqlite"
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> dict[str, Any] | None:
        """The stored answer, or None."""

        def read(database: sqlite3.Connection) -> dict[str, Any] | None:
            row = database.execute("SELECT content, sha256 FROM answers WHERE key = ?", (key,)).fetchone()
            return json.loads(row[0]) if row and _checksum(key, row[0]) == row[1] else None

        return self._attempt("read", read)

    def put(self, key: str, answer: dict[str, Any], model: str) -> None:
        """Store an answer, in the place of one that is there.

        Args:
            model: "provider model", for `info` and `clear`.
        """
        content = canonical_json(answer)
        row = (key, content, _checksum(key, content), model, time.time())

        def write(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

        self._attempt("written", write)

    def summary(self) -> Summary:
        """How much it holds, by model."""
        models: dict[str, int] = {}
        if self.path.exists():
            query = "SELECT model, count(*) FROM answers GROUP BY model ORDER BY model"
            models = dict(self._attempt("read", lambda database: database.execute(query).fetchall()) or [])
        size = sum(file.stat().st_size for file in _files(self.path) if file.exists())
        return Summary(self.path, sum(models.values()), size, models)

    def clear(self, model: str | None = None, older_than: float | None = None, *, dry_run: bool = False) -> int:
        """Remove answers, all or those of a model or age, and return how many.

        Args:
            model: name with or without its provider.
            older_than: seconds.
            dry_run: count only.
        """
        if not self.path.exists():
            return 0
        where = "(:model IS NULL OR model = :model OR model LIKE '% ' || :model) AND created <= :before"
        values = {"model": model, "before": time.time() - (older_than or 0.0)}

        def work(database: sqlite3.Connection) -> int:
            if dry_run:
                return database.execute(f"SELECT count(*) FROM answers WHERE {where}", values).fetchone()[0]
            removed = database.execute(f"DELETE FROM answers WHERE {where}", values).rowcount
            database.execute("VACUUM")
            return removed

        return self._attempt("cleared", work) or 0

    def damaged(self, *, remove: bool = False) -> int:
        """How many rows do not match their checksums."""
        if not self.path.exists():
            return 0

        def work(database: sqlite3.Connection) -> int:
            rows = database.execute("SELECT key, content, sha256 FROM answers")
            wrong = [(key,) for key, content, stored in rows if _checksum(key, content) != stored]
            if remove:
                database.executemany("DELETE FROM answers WHERE key = ?", wrong)
            return len(wrong)

        return self._attempt("verified", work) or 0

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._guard:
            self._disconnect()

    def _attempt(self, done: str, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Run `work` on the open file, once more on a new file if this one is damaged. None if it cannot be done."""
        with self._guard:
            for _ in range(2):
                try:
                    if self._connection is None:
                        self._connection = self._open()
                    return work(self._connection)
                except (sqlite3.Error, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
                    self._disconnect()
                    if not _is_damage(error):
                        _LOG.warning("the cache %s cannot be %s (%s); going on without it", self.path, done, error)
                        return None
                    self._quarantine(error)
        return None

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        database = sqlite3.connect(self.path, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, content TEXT NOT NULL, sha256 TEXT NOT NULL,"
                " model TEXT NOT NULL, created REAL NOT NULL) STRICT, WITHOUT ROWID"
            )
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _disconnect(self) -> None:
        if self._connection is not None:
            with closing(self._connection):
                self._connection = None

    def _quarantine(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        _LOG.warning("the cache %s is damaged (%s); it is moved to %s and begun anew", self.path, error, aside.name)
        for file, target in zip(_files(self.path), _files(aside), strict=True):
            # Another process may have moved the file a moment ago.
            if file.exists():
                file.replace(target)


def _files(path: Path) -> Iterator[Path]:
    """The file and those that SQLite keeps beside it."""
    return (path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm"))


def _checksum(key: str, content: str) -> str:
    return hashlib.sha256(f"{key}\n{content}".encode()).hexdigest()


def _is_damage(error: Exception) -> bool:
    """Whether it is the file that is at fault, rather than the disk or whoever else uses it."""
    if isinstance(error, OSError):
        return False
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _NO_DAMAGE
