"""`fewshot learners`: every part that can be named in a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.output import show, show_json, show_table

if TYPE_CHECKING:
    from fewshot.core.registry import Entry

app = typer.Typer(no_args_is_help=True, help="Learners, selectors, models: everything a spec can name.")


@app.command("ls")
def list_learners(
    family: Annotated[str | None, typer.Option("--family", help="Only this family.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List every family: learners, selectors, orderings, scorers, calibrators, encoders, models."""
    from fewshot.core.catalog import FAMILIES
    from fewshot.core.errors import unknown_name

    if family is not None and family.removesuffix("s") not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    chosen = [family.removesuffix("s")] if family else list(FAMILIES)
    entries = {name: FAMILIES[name].entries() for name in chosen}
    if as_json:
        show_json({name: [_described(entry) for entry in known.values()] for name, known in entries.items()})
        return
    for name, known in entries.items():
        rows = [[entry.name, entry.summary, ", ".join(entry.flags), entry.extra or ""] for entry in known.values()]
        show_table([name, "what it does", "flags", "extra"], rows)


@app.command("show")
def show_part(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a learner, selector, readout, encoder, model ...")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what a part does, where it comes from, and the options that a spec of it can set, with their defaults."""
    from fewshot.core.catalog import FAMILIES
    from fewshot.core.documented import about, arguments
    from fewshot.core.errors import unknown_name

    found = {family: registry.entry(name) for family, registry in FAMILIES.items() if registry.knows(name)}
    if not found:
        raise unknown_name("part", name, [each for registry in FAMILIES.values() for each in registry.entries()])
    parts = {family: (entry, entry.load()) for family, entry in found.items()}
    if as_json:
        show_json(
            [
                {**_described(entry), "family": family, "options": [each._asdict() for each in arguments(part)]}
                for family, (entry, part) in parts.items()
            ]
        )
        return
    for family, (entry, part) in parts.items():
        show(f"{family} {entry.name}: {entry.summary}", "bold")
        show(about(part))
        show_table(
            ["option", "default", "what it is"],
            [[each.name, "" if each.default is None else str(each.default), each.about] for each in arguments(part)],
        )
        if entry.extra:
            show(f"needs: pip install 'fewshot[{entry.extra}]'")


def _described(entry: Entry) -> dict[str, Any]:
    """What is known of a part, JSON-ready."""
    flags = ("needs_meta_training", "transductive", "baseline")
    return {
        "name": entry.name,
        "target": entry.target,
        "summary": entry.summary,
        "kinds": entry.kinds,
        "extra": entry.extra,
        **{flag: getattr(entry, flag) for flag in flags},
        "positional": entry.positional,
    }
