"""`fewshot cache`: the answers of hosted models that are kept on disk."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from fewshot.cli.options import AsJson
from fewshot.cli.output import complain, show, show_json, show_table
from fewshot.core.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Answers of hosted models, kept on disk.")

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command("path")
def path() -> None:
    """Print where the cache is."""
    from icl.models.api.cache import ResponseCache

    show(str(ResponseCache().path))


@app.command("info")
def info(as_json: AsJson = False) -> None:
    """Show how many answers there are, by model."""
    from icl.models.api.cache import ResponseCache

    found = ResponseCache().summary()
    if as_json:
        show_json({"path": str(found.path), "answers": found.answers, "bytes": found.bytes, "models": found.models})
        return
    if found.models:
        show_table(["model", "answers"], list(found.models.items()), right=["answers"])
    show(f"{found.answers} answers, {found.bytes / 1e6:.1f} MB in {found.path}")


@app.command("clear")
def clear(
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only answers of this model.")] = None,
    older_than: Annotated[str | None, typer.Option(help="Only answers older than this: 30d, 12h, 5m.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count; remove nothing.")] = False,
) -> None:
    """Remove answers: all, or those of a model or age."""
    from icl.models.api.cache import ResponseCache

    age = None if older_than is None else _seconds(older_than)
    name = None if model is None else model.rpartition(":")[2]
    n = ResponseCache().clear(name, age, dry_run=dry_run)
    show(f"{n} answers {'would be ' if dry_run else ''}removed")


@app.command("verify")
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Remove the damaged answers.")] = False,
) -> None:
    """Check every answer against its checksum. Exit code 1 if some are damaged and left as they are."""
    from icl.models.api.cache import ResponseCache

    cache = ResponseCache()
    damaged = cache.damaged(remove=repair)
    if damaged and not repair:
        complain(f"{damaged} damaged answers in {cache.path}; remove them with: fewshot cache verify --repair")
        raise typer.Exit(1)
    show(f"{damaged} damaged answers removed" if damaged else f"{cache.summary().answers} answers, all sound")


def _seconds(age: str) -> float:
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", age.strip())
    if matched is None:
        raise UsageError(f"--older-than {age}: give a number and s, m, h or d, for example 30d")
    return float(matched[1]) * _SECONDS[matched[2]]
