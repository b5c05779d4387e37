"""Help pages: an example for every command, types that people know, and no noise."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fewshot.cli.app import app
from fewshot.cli.examples import EXAMPLES


def commands(group: Any, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        whole = f"{path} {name}".strip()
        yield from commands(command, whole) if hasattr(command, "commands") else [whole]


COMMANDS = list(commands(get_command(app)))


@pytest.mark.promise(161)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_help_page_has_an_example_that_its_command_takes(command: str) -> None:
    page = CliRunner().invoke(app, [*command.split(), "--help"], terminal_width=100).output
    assert f"Example: fewshot {command}" in page
    assert "env var" not in page
    assert "<str>" not in page.partition("Options:")[2]
    current: Any = get_command(app)
    for name in command.split():
        current = current.commands[name]
    assert current.make_context(command, shlex.split(EXAMPLES[command])).args == []


def test_examples_are_those_of_commands() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", ["FEWSHOT_VERSION", "FEWSHOT_SHOW_COMPLETION", "FEWSHOT_INSTALL_COMPLETION"])
def test_a_variable_is_no_request_to_be_told_something(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    result = CliRunner().invoke(app, ["learners", "ls", "--family", "ordering"])
    assert (result.exit_code, "nearest-last" in result.output) == (0, True)


def test_options_can_still_be_set_by_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_LEARNERS_LS_FAMILY", "ordering")
    assert "nearest-last" in CliRunner().invoke(app, ["learners", "ls"]).output


def test_a_part_is_shown_with_its_options_and_defaults() -> None:
    shown = CliRunner().invoke(app, ["learners", "show", "protonet"], terminal_width=100)
    assert shown.exit_code == 0
    for part in ("arXiv 1703.05175", "train_way", "20", "learn_temperature", "pip install 'fewshot[local]'"):
        assert part in shown.output
    missing = CliRunner().invoke(app, ["learners", "show", "protnet"])
    assert missing.exit_code == 2
