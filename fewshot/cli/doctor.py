"""`fewshot doctor`: is everything here that will be needed?"""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from fewshot.cli.output import complain, show_json, show_table

_PACKAGES = ("fewshot", "evals", "icl", "classic", "prompts")
_EXTRAS = {
    "local": ("torch", "transformers", "sentence_transformers", "gguf", "sklearn"),
    "data": ("pyarrow", "datasets"),
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "prices": ("genai_prices",),
}


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
    """`evals` and `prompts` are names of other people's distributions, too: ours must be the ones that are found."""
    home = Path(__file__).resolve().parents[2]
    for name in _PACKAGES:
        found = importlib.util.find_spec(name)
        origin = Path(found.origin).resolve() if found and found.origin else None
        ours = origin is not None and origin.parent.parent == home
        detail = (
            str(origin) if ours else f"{origin or 'nothing'} hides ours in {home}; uninstall the other distribution"
        )
        yield Finding(f"package {name}", ours, detail)


def _extras() -> Iterator[Finding]:
    for extra, modules in _EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        detail = f'pip install "fewshot[{extra}]"' if missing else ", ".join(modules)
        yield Finding(f"extra {extra}", None if missing else True, detail)
    if importlib.util.find_spec("torch") is not None:
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
