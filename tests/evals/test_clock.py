"""Clocks: names and records are in UTC, durations ignore what is done to the clock, and a second is no identity."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest

from evals import rundir
from evals.learner import Context

pytestmark = pytest.mark.promise(46)

ROOT = Path(__file__).parents[2]
#: The hour that is there twice when summer time ends in Berlin.
TWICE = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


class Stopped(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return TWICE.astimezone(tz)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is that of Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_runs_of_the_same_second_have_folders_of_their_own_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rundir, "datetime", Stopped)
    folders = {rundir.new_run_dir(tmp_path, "task", "nn") for _ in range(20)}
    assert len(folders) == 20
    assert all(folder.name.startswith("20261025T003000Z-") for folder in folders)


def test_a_deadline_does_not_move_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, past = Context(deadline=time.monotonic() + 100), Context(deadline=time.monotonic() - 1)
    for moved in (0.0, 4e9):
        monkeypatch.setattr(time, "time", lambda moved=moved: moved)
        assert (waiting.stopping, past.stopping) == (False, True)


def test_no_source_asks_for_local_time() -> None:
    local = {"datetime.now()", "datetime.utcnow()", "datetime.today()", "date.today()", "time.localtime()"}
    for package in ("fewshot", "evals", "icl", "classic"):
        for path in (ROOT / package).rglob("*.py"):
            calls = (
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
            )
            assert not local & {ast.unparse(call) for call in calls}, path
