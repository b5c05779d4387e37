"""Runs whose writer was killed in the middle of a step: what was stored can be read, and the run goes on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from evals import sqlite
from evals.store import FILE_NAME, Store
from fewshot.core.errors import StorageError
from fewshot.core.locks import FolderLock

_LONG = "x" * 2000


def _hot_journal(folder: Path, killed: Path) -> None:
    """A copy from the middle of a transaction with a rollback journal: pages are changed, and none is valid."""
    connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO notes VALUES (?, ?, '')", [(number, _LONG) for number in range(100, 400)])
    shutil.copytree(folder, killed)
    connection.execute("ROLLBACK")
    connection.close()
    assert (killed / f"{FILE_NAME}-journal").stat().st_size


def _log(folder: Path, killed: Path) -> None:
    """A copy of a file with a write-ahead log that holds committed steps and one that is not."""
    connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE later (content TEXT)")
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO later VALUES (?)", [(_LONG,)] * 300)
    shutil.copytree(folder, killed, ignore=shutil.ignore_patterns("*-shm"))
    connection.execute("ROLLBACK")
    connection.close()
    assert (killed / f"{FILE_NAME}-wal").stat().st_size


def _shared_memory_too(folder: Path, killed: Path) -> None:
    _log(folder, killed)
    (killed / f"{FILE_NAME}-shm").write_bytes(bytes(32768))


@pytest.fixture(params=[_hot_journal, _log, _shared_memory_too], ids=["journal", "log", "log-and-shared-memory"])
def killed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of a run with one note, whose writer was killed."""
    with Store.create(tmp_path / "run", {"begun": "well"}) as store:
        store.add_note("kept")
    leave: Callable[[Path, Path], None] = request.param
    leave(tmp_path / "run", tmp_path / "killed")
    return tmp_path / "killed"


@pytest.mark.promise(77)
def test_what_was_stored_is_read_and_goes_on(killed: Path) -> None:
    for _ in range(2):
        with Store.read(killed) as store:
            assert (store.config, store.notes()) == ({"begun": "well"}, ["kept"])
    with Store.resume(killed) as store:
        store.add_note("more")
    with Store.read(killed) as store:
        assert store.notes() == ["kept", "more"]


@pytest.mark.promise(77)
def test_it_goes_on_at_once(killed: Path) -> None:
    with Store.resume(killed) as store:
        store.add_note("more")
        with Store.read(killed) as reader:
            assert reader.notes() == ["kept", "more"]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    Store.create(tmp_path / "run", {"begun": "well"}).close()
    _hot_journal(tmp_path / "run", tmp_path / "killed")
    return tmp_path / "killed"


@pytest.mark.promise(77)
def test_where_nothing_can_be_written_the_truth_is_told(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(folder: Path) -> FolderLock:
        raise StorageError(f"cannot use {folder}: Read-only file system")

    monkeypatch.setattr(sqlite, "writer_lock", read_only)
    before = {path.name: path.read_bytes() for path in journal.iterdir()}
    with pytest.raises(StorageError, match=r"was interrupted while it was being written.*copy the whole folder"):
        Store.read(journal)
    assert {path.name: path.read_bytes() for path in journal.iterdir()} == before


def test_a_reader_waits_for_the_one_who_finishes(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = sqlite.writer_lock(journal)

    def finished(seconds: float) -> None:
        sqlite.close(sqlite3.connect(journal / FILE_NAME))
        lock.release()

    monkeypatch.setattr("time.sleep", finished)
    with Store.read(journal) as store:
        assert store.config == {"begun": "well"}


def test_what_no_one_finishes_is_told_in_the_end(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with sqlite.writer_lock(journal), pytest.raises(StorageError, match="cannot use"):
        Store.read(journal)
