"""The cache of models: nothing half done is left in it, however a process ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fewshot.core.model_cache import locked, staging

_WORKS = """
import sys, time
from pathlib import Path
from fewshot.core.model_cache import locked, staging
home = Path(sys.argv[1])
with locked(home), staging(home) as work:
    (work / "half").write_text("x")
    print("working", flush=True)
    time.sleep(60)
"""


def left(home: Path) -> list[str]:
    return [path.name for path in home.parent.iterdir() if path.is_dir()]


@pytest.mark.promise(54)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_work_that_is_ended_leaves_no_folder_behind(how: signal.Signals, tmp_path: Path) -> None:
    home = tmp_path / "models" / "toy-0123"
    home.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKS, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A test run in the background ignores Ctrl-C, and would hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"working\n"
    process.send_signal(how)
    process.communicate()
    assert process.returncode in (-how, 128 + how)
    if how is signal.SIGKILL:  # nothing can be done by who is killed: the next one clears up
        assert left(home)
        with locked(home), staging(home) as work:
            assert left(home) == [work.name]
    assert left(home) == []


def test_work_on_another_model_is_left_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "toy-0123", tmp_path / "toy-0123-big"
    with locked(one), staging(one) as work, locked(other), staging(other):
        assert work.is_dir()
