"""Processes that are killed or interrupted, and what is left of their runs."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evals.results import summarise
from evals.runner import run
from evals.store import Store
from tests.evals.fakes import FirstLabel, Logging, sampler_of

N = 12

_RUN = """
import sys
from pathlib import Path
from evals.runner import run
from tests.evals.fakes import FirstLabel, Logging, sampler_of
folder, log, resume = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "resume"
run(Logging(log, seconds=float(sys.argv[4])), sampler_of("classification"), 12, run_dir=folder, resume=resume,
    baselines={"first": FirstLabel()}, on_progress=lambda progress: print(progress.done, flush=True))
"""


def start(folder: Path, log: Path, resume: bool, seconds: float) -> subprocess.Popen[str]:
    arguments = [str(folder), str(log), "resume" if resume else "new", str(seconds)]
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", _RUN, *arguments], stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    learner = Logging(folder / "log")
    return run(
        learner, sampler_of("classification"), N, run_dir=folder / "run", baselines={"first": FirstLabel()}
    ).result


@pytest.mark.promise(14)
@pytest.mark.parametrize("attempt", range(3))
def test_killed_at_random_points_then_resumed(attempt: int, uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    dice = random.Random(attempt)
    folder, log = tmp_path / "run", tmp_path / "log"
    kills = 0
    for _ in range(3):
        process = start(folder, log, resume=folder.exists(), seconds=0.02)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0, 0.08))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        process.communicate()
    learner = Logging(log)
    baselines = {"first": FirstLabel()}
    done = run(learner, sampler_of("classification"), N, run_dir=folder, baselines=baselines, resume=True)
    assert timeless(done.result) == timeless(uninterrupted)
    asked = Counter(log.read_text().splitlines())
    assert len(asked) == N
    assert asked.total() <= N + kills


@pytest.mark.promise(14)
def test_killed_while_starting(tmp_path: Path) -> None:
    """Before the first answer there is a run to resume, or none at all, but never half of one."""
    for delay in (0.0, 0.2, 0.4, 0.6):
        folder = tmp_path / str(delay)
        process = start(folder, tmp_path / "log", resume=False, seconds=0.0)
        time.sleep(delay)
        process.kill()
        process.communicate()
        resume = (folder / "run.sqlite").exists()
        learner, baselines = Logging(tmp_path / "log"), {"first": FirstLabel()}
        assert run(learner, sampler_of("classification"), N, run_dir=folder, baselines=baselines, resume=resume).result


def test_an_unfinished_run_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, tmp_path / "log", resume=False, seconds=1e6)
    assert process.stdout is not None
    process.stdout.readline()
    with Store.read(folder) as store:
        result = summarise(store)
    process.kill()
    process.communicate()
    assert result["n_episodes"] == 1
    assert not result["complete"]
    assert result["accuracy"]["n"] == result["n_episodes"]
    assert result["baselines"]["first"]["accuracy"] is None


@pytest.mark.promise(15)
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c(presses: int, uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    """Once lets the problem at hand finish and closes the store, twice does not wait; either way it can be resumed."""
    folder, log = tmp_path / "run", tmp_path / "log"
    process = start(folder, log, resume=False, seconds=1e6)
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, errors = process.communicate()
    assert process.returncode in (130, -signal.SIGINT)
    if presses == 1:
        assert f"continue with --resume {folder}" in errors
        assert not (folder / "run.sqlite-wal").exists()
    baselines = {"first": FirstLabel()}
    done = run(Logging(log), sampler_of("classification"), N, run_dir=folder, baselines=baselines, resume=True)
    assert timeless(done.result) == timeless(uninterrupted)
    if presses == 1:
        assert len(log.read_text().splitlines()) == N


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    """The result without what depends on clock and place."""
    kept = {key: value for key, value in result.items() if key not in ("seconds", "usage", "run_dir")}
    return {**kept, "baselines": {name: timeless(figures) for name, figures in result.get("baselines", {}).items()}}
