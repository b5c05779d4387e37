"""How a command ends that is cut off: a closed stdout, a reader that leaves, Ctrl-C at the start, an odd error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

_RUN = f"{sys.executable} -m fewshot"


@pytest.mark.promise(80)
@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (f"{_RUN} tasks ls >&-", 0, ""),
        (f"{_RUN} tasks show intents-en --json >&-", 0, ""),
        (f"{_RUN} tasks ls <&- >&- 2>&-", 0, ""),
        (f"{_RUN} runs show nowhere 2>&-", 2, ""),
        (f"{_RUN} tasks show intents-en --json | true", 0, ""),
        (f"{_RUN} tasks ls >/dev/full", 1, "No space left"),
        (f"{_RUN} tasks show intents-en --json >/dev/full", 1, "No space left"),
    ],
    ids=["table", "json", "all-closed", "error", "reader-gone", "full-table", "full-json"],
)
def test_a_closed_or_full_stdout_is_no_traceback(line: str, code: int, says: str) -> None:
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 1


_INTERRUPTED = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
sys.argv = ["fewshot", "tasks", "ls"]
from fewshot.cli import main
main()
"""


@pytest.mark.promise(80)
@pytest.mark.parametrize("module", ["typer", "fewshot.cli.app", "fewshot.cli.tasks", "evals.card", "rich.console"])
def test_an_interruption_of_any_import_is_one_line(module: str) -> None:
    program = _INTERRUPTED.format(module=module)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


@pytest.mark.promise(80)
def test_an_error_that_is_none_of_ours_is_one_line(fewshot: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr("evals.card.read_card", broken)
    done = fewshot("tasks", "ls")
    assert (done.code, done.stderr) == (
        1,
        "error: unexpected ZeroDivisionError: division by zero (fewshot --debug ... shows where)\n",
    )
    with pytest.raises(ZeroDivisionError):
        fewshot("--debug", "tasks", "ls")
