"""The command line in this process: its output apart from its messages, its exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from fewshot.cli.app import app
from fewshot.cli.output import messages, results


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it left."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def fewshot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Outcome]]:
    """Runs `fewshot ARGS`; `stdin=` is what it reads."""
    monkeypatch.setenv("FEWSHOT_OFFLINE", "1")

    def call(*args: object, stdin: str | bytes | None = None) -> Outcome:
        results.cache_clear()
        messages.cache_clear()
        done = CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    yield call
    results.cache_clear()
    messages.cache_clear()
