"""No command writes over what it reads: outputs are compared with all that it was given, before it begins."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from fewshot.core.errors import UsageError
from fewshot.core.paths import cache_root, is_stream, refuse_overwriting

#: Options that name a file to be written, and those that name a folder to be filled.
_FILES, _FOLDERS = frozenset(("--output", "--plot")), frozenset(("--out", "--run-dir"))
_SEPARATORS = re.compile(r"[=:,+()]")


def guard(app: typer.Typer) -> None:
    """Make every command of an application compare its paths before it begins."""
    for command in app.registered_commands:
        command.cls = GuardedCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            guard(group.typer_instance)


class GuardedCommand(TyperCommand):
    """A command whose outputs are none of its inputs."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        options = {name: frozenset(given.opts) for given in self.params if (name := given.name)}
        given = {name: value for name, value in ctx.params.items() if name in options and value is not None}
        files = {name: Path(value) for name, value in given.items() if options[name] & _FILES}
        folders = {name: Path(value) for name, value in given.items() if options[name] & _FOLDERS}
        others = [value for name, value in given.items() if not options[name] & (_FILES | _FOLDERS)]
        inputs = list(_paths(others))
        for name, output in files.items():
            option = "--plot" if "--plot" in options[name] else "-o"
            _require_file(output, list(folders.values()), option)
            refuse_overwriting(output, inputs, option)
        for name, folder in folders.items():
            if "--out" in options[name]:
                refuse_overwriting(folder, inputs, "--out")
        return super().invoke(ctx)


def _paths(value: Any) -> Iterator[Path]:
    """What of a value exists here: a path, one within a spec (`hf:FOLDER`, `from=FOLDER`), stdin."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _paths(each)
    elif isinstance(value, (str, Path)):
        text = str(value)
        named = ["/dev/stdin"] if text == "-" else [text, *_SEPARATORS.split(text)]
        yield from (Path(name) for name in dict.fromkeys(named) if name)


def _require_file(output: Path, folders: list[Path], option: str) -> None:
    """Refuse an output that can be no file, before there is work to lose.

    Raises:
        UsageError: a folder, or below something that is none.
    """
    if is_stream(output):
        return
    if output.is_dir() or output.absolute() in [folder.absolute() for folder in folders]:
        raise UsageError(f"{option} {output} is a folder; name a file in it")
    real, cache = Path(os.path.realpath(output)), os.path.realpath(cache_root())
    if output.exists() and real.is_relative_to(cache) and real.parent != Path(cache):
        raise UsageError(f"{option} {output} is a file of the cache: choose another output")
    above = next(path for path in output.absolute().parents if path.exists())
    if not above.is_dir():
        raise UsageError(f"{option} {output}: {above} is no folder")
