"""`fewshot doctor`: is everything here that will be needed?"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from fewshot.cli.output import complain, show_json, show_table
from fewshot.core.extras import EXTRAS, is_here, missing_modules
from fewshot.core.ownership import PACKAGES, faults

_HOME = Path(__file__).resolve().parents[2]


class Finding(NamedTuple):
    """One check: `ok` is None where something is merely absent."""

    check: str
    ok: bool | None
    detail: str


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Check packages, extras, models, devices and folders. Exit code 1 if something is broken."""
    findings = list(examine())
    if as_json:
        show_json([finding._asdict() for finding in findings])
    else:
        marks = {True: "ok", False: "BROKEN", None: "absent"}
        show_table(["check", "state", "detail"], [[f.check, marks[f.ok], f.detail] for f in findings])
    broken = [finding.check for finding in findings if finding.ok is False]
    if broken:
        complain(f"broken: {', '.join(broken)}")
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Run every check."""
    yield Finding("python", True, platform.python_version())
    yield from _packages()
    yield from _extras()
    yield from _models()
    yield from _folders()
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        yield Finding(variable, True if os.environ.get(variable) else None, "set" if os.environ.get(variable) else "")


def _packages() -> Iterator[Finding]:
    wrong = faults()
    for name in PACKAGES:
        yield Finding(f"package {name}", name not in wrong, wrong.get(name, str(_HOME / name)))


def _extras() -> Iterator[Finding]:
    for extra, modules in EXTRAS.items():
        missing = missing_modules(extra)
        detail = f'without {", ".join(missing)}: pip install "fewshot[{extra}]"' if missing else ", ".join(modules)
        yield Finding(f"extra {extra}", None if missing else True, detail)
    if is_here("torch"):
        from fewshot.core.devices import describe_devices

        yield Finding("devices", True, describe_devices())


def _models() -> Iterator[Finding]:
    from fewshot.core.embedded import EMBEDDED, how_to_get, locate

    for name in EMBEDDED:
        path = locate(name)
        yield Finding(f"model {name}", True if path else None, str(path or how_to_get(name)))


def _folders() -> Iterator[Finding]:
    from fewshot.core.errors import StorageError
    from fewshot.core.paths import cache_dir, data_dir

    try:
        folder = cache_dir()
        yield Finding("cache folder", os.access(folder, os.W_OK), str(folder))
    except StorageError as error:
        yield Finding("cache folder", False, str(error))
    yield Finding("working folder", os.access(Path.cwd(), os.W_OK), str(Path.cwd()))
    data = data_dir()
    detail = str(data) if data else "FEWSHOT_DATA is not set"
    yield Finding("data folder", None if data is None else data.is_dir(), detail)
