"""The run store: one SQLite file that survives `kill -9`, with one writer and any number of readers."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals import sqlite
from evals.records import EpisodeRecord, read_episode, read_prediction, write_episode, write_prediction
from evals.sqlite import storage_errors, writer_lock
from evals.types import Prediction
from fewshot.core.errors import StorageError, UsageError
from fewshot.core.hashing import canonical_json
from fewshot.core.locks import FolderLock

SCHEMA_VERSION = 1
FILE_NAME = "run.sqlite"

_BATCH = 64
_PREDICTION_KEY = ("learner", "problem_id", "seconds")
_Row = tuple[dict[str, Any], str]

# Tables without row ids are a single tree each, so the check on opening looks at all that a lookup will use.
_SCHEMA = f"""
CREATE TABLE run (key TEXT PRIMARY KEY, content TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE episodes (
    idx INTEGER PRIMARY KEY, problem_id TEXT NOT NULL, content TEXT NOT NULL, sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE predictions (
    learner TEXT, problem_id TEXT, seconds REAL NOT NULL, content TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (learner, problem_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE requests (key TEXT PRIMARY KEY, content TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE notes (number INTEGER PRIMARY KEY, content TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version={SCHEMA_VERSION};
"""


class Store:
    """The stored run in a folder. Open one with `create`, `resume` or `read`, and close it (or use `with`).

    Every row carries a checksum. Reads raise StorageError for rows that do not match theirs, and writes for disks that
    are full or read-only; what was stored before stays.
    """

    def __init__(self, folder: Path, lock: FolderLock | None = None) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._lock = lock
        self._guard = threading.RLock()  # learners may use the ledger from threads of their own
        self._connection = sqlite.connect(self.path, read_only=lock is None)
        try:
            self._require_version()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, folder: Path, config: dict[str, Any]) -> Store:
        """Begin a run in a folder that holds none.

        Args:
            config: JSON-ready; the run cannot be resumed under another one.

        Raises:
            UsageError: the folder holds a run, or another process writes to it.
            StorageError: the folder cannot be written.
        """
        path = folder / FILE_NAME
        with storage_errors(path):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(folder) as lock:
            if path.exists():
                raise UsageError(f"{folder} already holds a run; continue it with --resume {folder}")
            content = canonical_json(config)
            row = ("config", content, _checksum({"key": "config"}, content))
            sqlite.create(path, _SCHEMA, {"INSERT INTO run VALUES (?, ?, ?)": row})
            return cls(folder, lock)

    @classmethod
    def resume(cls, folder: Path) -> Store:
        """Open a stored run for writing.

        Raises:
            UsageError: there is no run, or another process writes to it.
            StorageError: the file is damaged or from another version.
        """
        _require_run(folder)
        with _locked(folder) as lock:
            return cls(folder, lock)

    @classmethod
    def read(cls, folder: Path) -> Store:
        """Open a stored run for reading, also while it is being written. Raises like `resume`."""
        _require_run(folder)
        return cls(folder)

    def close(self) -> None:
        """Close the file. A run that is not being read at this moment becomes a single file, ready to be copied."""
        if self._lock is None:
            self._connection.close()
            return
        sqlite.close(self._connection)
        self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run began with."""
        for _, content in self._rows("run", ("key",), "WHERE key = 'config'"):
            return json.loads(content)
        raise StorageError(f"{self.path} holds no configuration; it is damaged")

    def add_episode(self, record: EpisodeRecord) -> None:
        """Store an episode; one that is there already must be the same.

        Raises:
            StorageError: another episode is stored under this index.
        """
        key, content = {"idx": record.index, "problem_id": record.problem_id}, write_episode(record)
        with self._writing():
            for _, stored in self._rows("episodes", ("idx", "problem_id"), "WHERE idx = ?", record.index):
                if stored != content:
                    raise StorageError(f"{self.path} holds another episode {record.index}: data or sampling changed")
                return
            self._put("episodes", key, content)

    def add_prediction(self, learner: str, prediction: Prediction, seconds: float = 0.0) -> None:
        """Store a learner's prediction, with the wall-clock seconds since its last one.

        Raises:
            StorageError: it cannot be written, or this problem is answered already.
            ValueError, TypeError: it holds what JSON cannot hold, NaN for example.
        """
        key = {"learner": learner, "problem_id": prediction.problem_id, "seconds": float(seconds)}
        content = write_prediction(prediction)
        with self._writing():
            self._put("predictions", key, content)

    def add_note(self, text: str) -> None:
        """Store a message that was meant for the user."""
        with self._writing() as connection:
            number = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM notes").fetchone()[0]
            self._put("notes", {"number": number}, canonical_json({"at": datetime.now(UTC).isoformat(), "text": text}))

    def answered(self, learner: str) -> set[str]:
        """The ids of the problems that a learner has answered."""
        return {key["problem_id"] for key, _ in self._stored_predictions() if key["learner"] == learner}

    def episodes(self, known: dict[str, EpisodeRecord] | None = None) -> Iterator[EpisodeRecord]:
        """The stored episodes, by index.

        Args:
            known: episodes that were read already, by their stored form: many runs hold the same ones.
        """
        known = {} if known is None else known
        for _, content in self._rows("episodes", ("idx", "problem_id"), "ORDER BY idx"):
            if content not in known:
                known[content] = read_episode(content)
            yield known[content]

    def prediction(self, learner: str, problem_id: str) -> Prediction | None:
        """A learner's prediction of one problem, or None."""
        found = self._rows("predictions", _PREDICTION_KEY, "WHERE learner = ? AND problem_id = ?", learner, problem_id)
        return next((read_prediction(content) for _, content in found), None)

    def predictions(self, learner: str) -> Iterator[tuple[Prediction, float]]:
        """A learner's predictions with their wall-clock seconds, by problem id."""
        for key, content in self._stored_predictions():
            if key["learner"] == learner:
                yield read_prediction(content), key["seconds"]

    def all_predictions(self) -> Iterator[tuple[str, Prediction, float]]:
        """Every learner's predictions with their wall-clock seconds, by learner and problem id."""
        for key, content in self._stored_predictions():
            yield key["learner"], read_prediction(content), key["seconds"]

    def notes(self) -> list[str]:
        """The messages of the run, in order."""
        return [json.loads(content)["text"] for _, content in self._rows("notes", ("number",), "ORDER BY number")]

    @property
    def ledger(self) -> RequestLedger:
        """The ledger of paid requests, kept in this file."""
        return RequestLedger(self)

    def _stored_predictions(self) -> Iterator[_Row]:
        # All rows are read and checked: a WHERE clause would pass over one whose learner's name is damaged.
        return self._rows("predictions", _PREDICTION_KEY, "ORDER BY learner, problem_id")

    def _rows(self, table: str, key: tuple[str, ...], clause: str, *values: Any) -> Iterator[_Row]:
        """Rows with their checksums verified, a batch in memory at a time."""
        query = f"SELECT {', '.join(key)}, content, sha256 FROM {table} {clause}"
        with self._guard, storage_errors(self.path):
            cursor = self._connection.execute(query, values)
        while True:
            with self._guard, storage_errors(self.path):
                batch = cursor.fetchmany(_BATCH)
            if not batch:
                return
            for *found, content, stored in batch:
                named = dict(zip(key, found, strict=True))
                if stored != _checksum(named, content):
                    raise StorageError(f"{self.path} is damaged: {table} {named} does not match its checksum")
                yield named, content

    def _put(self, table: str, key: dict[str, Any], content: str) -> None:
        row = {**key, "content": content, "sha256": _checksum(key, content)}
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

    def _require_version(self) -> None:
        with storage_errors(self.path):
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise StorageError(f"{self.path} has schema version {version}; this fewshot reads version {SCHEMA_VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction."""
        with self._guard, storage_errors(self.path), self._connection:
            yield self._connection


class RequestLedger:
    """`evals.learner.Ledger` in a run's store. Safe to use from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of a request, or None if it was never made."""
        for _, content in self._store._rows("requests", ("key",), "WHERE key = ?", key):
            return json.loads(content)
        return None

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Note a request; a later record takes the place of an earlier one."""
        content = canonical_json(record)
        with self._store._writing() as connection:
            connection.execute("DELETE FROM requests WHERE key = ?", (key,))
            self._store._put("requests", {"key": key}, content)


@contextmanager
def _locked(folder: Path) -> Iterator[FolderLock]:
    """The writer's lock, given back if opening the run fails."""
    lock = writer_lock(folder)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise


def _require_run(folder: Path) -> None:
    if not (folder / FILE_NAME).is_file():
        raise UsageError(f"{folder} holds no run: there is no {FILE_NAME} in it")


def _checksum(key: dict[str, Any], content: str) -> str:
    return hashlib.sha256(canonical_json([key, content]).encode("utf-8")).hexdigest()
