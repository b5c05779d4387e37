"""Dense vectors on disk, so that no text goes through a transformer twice."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fewshot.core.paths import cache_dir
from fewshot.encoders.base import Encoder, ReadsSoMuch

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
#: Texts encoded between two writes: what a killed process may lose.
_WRITE_EVERY = 1024
#: Below the smallest limit on the parameters of one statement that SQLite was ever built with (999).
_KEYS_PER_QUERY = 900
#: Seconds to wait for another process that writes.
_LOCK_TIMEOUT = 30.0


class VectorStore:
    """float32 vectors by key in one SQLite file that several processes may use at once.

    A damaged file is moved aside and a new one begun; a damaged vector counts as absent; a disk that cannot be written
    costs the cache, not the work. All three are logged as warnings.

    Args:
        path: the file; created on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The (d,) vectors of those keys that are stored."""
        return self._attempt("read", lambda database: dict(_select(database, keys))) or {}

    def put(self, items: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Store (key, (d,) vector) pairs, replacing what is there."""
        rows = [(key, raw := vector.astype("<f4").tobytes(), zlib.crc32(raw)) for key, vector in items]
        self._attempt("written", lambda database: _insert(database, rows))

    def _attempt(self, done: str, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Run `work` on the open file, once more on a new file if this one is damaged. None if it cannot be done."""
        for _ in range(2):
            try:
                with closing(self._open()) as database:
                    return work(database)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    _LOG.warning("vector cache %s cannot be %s (%s); going on without it", self.path, done, error)
                    return None
                self._quarantine(error)
        return None

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=_LOCK_TIMEOUT, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS vectors"
                " (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID"
            )
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _quarantine(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{os.getpid()}")
        _LOG.warning("vector cache %s is damaged (%s); it is moved to %s and begun anew", self.path, error, aside.name)
        for suffix in ("", "-wal", "-shm"):
            file = self.path.with_name(self.path.name + suffix)
            # Another process may have moved the file a moment ago.
            if file.exists():
                file.replace(aside.with_name(aside.name + suffix))


def _select(database: sqlite3.Connection, keys: Sequence[bytes]) -> Iterable[tuple[bytes, np.ndarray]]:
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        part = keys[start : start + _KEYS_PER_QUERY]
        marks = ",".join("?" * len(part))
        for key, raw, checksum in database.execute(
            f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})", part
        ):
            if zlib.crc32(raw) == checksum:
                yield key, np.frombuffer(raw, dtype="<f4")
            else:
                _LOG.warning("a damaged vector in the cache is computed again")


def _insert(database: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes, int]]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
    database.execute("COMMIT")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class CachedEncoder:
    """A dense encoder whose vectors are kept on disk, by its fingerprint and the SHA-256 of the text.

    Args:
        encoder: a dense encoder; it is not loaded while every vector asked for is in the cache.
        folder: where the file goes; the user's cache folder where None.
    """

    expensive = False

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self.encoder = encoder
        self.name = encoder.name
        self._folder = folder

    @property
    def fingerprint(self) -> str:
        """That of the encoder: a cache changes no vector."""
        return self.encoder.fingerprint

    def describe(self) -> dict[str, Any]:
        """That of the encoder."""
        return self.encoder.describe()

    def fit(self, texts: Sequence[str]) -> Encoder:
        """The fitted encoder, cached; itself where there is nothing to learn."""
        fitted = self.encoder.fit(texts)
        return self if fitted is self.encoder else CachedEncoder(fitted, self._folder)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), d) float32, dense, equal bit by bit to what was first computed."""
        if not texts:
            return np.asarray(self.encoder.encode(texts))
        if isinstance(self.encoder, ReadsSoMuch):
            self.encoder.tell_cut(texts)  # a vector in the cache is of a text that was cut as well
        folder = self._folder or cache_dir("vectors")
        store = VectorStore(folder / f"{self.fingerprint}.sqlite")
        key_of = {text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts}
        found = store.get(list(key_of.values()))
        absent = [text for text, key in key_of.items() if key not in found]
        for start in range(0, len(absent), _WRITE_EVERY):
            part = absent[start : start + _WRITE_EVERY]
            fresh = dict(zip((key_of[text] for text in part), np.asarray(self.encoder.encode(part)), strict=True))
            store.put(fresh.items())
            found.update(fresh)
        return np.stack([found[key_of[text]] for text in texts]).astype(np.float32, copy=False)
