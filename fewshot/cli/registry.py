"""`fewshot registry`: classes registered by name from a few texts or images, and the nearest of them for new ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.groups import with_options
from fewshot.cli.options import AsJson, Device, Trust
from fewshot.cli.output import offline, say, show, show_json, show_table
from fewshot.cli.reading import Reading
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from classic.registry import Found, PrototypeRegistry
    from fewshot.cli.inputs import NewText

app = typer.Typer(
    no_args_is_help=True, help="Classes by name from a few texts or images each, in one file; the nearest of them."
)

_Path = Annotated[Path, typer.Argument(metavar="REGISTRY", help="File of the registry.")]
_Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Class; needed where no file has labels.")]
_Texts = Annotated[
    list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts; files, where the encoder reads images.")
]
_From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="File of texts (.txt, .csv, .jsonl ...), - for stdin, or folder or .zip of images. Without NAME, the "
        "column `label`, or the folder of an image, names the class.",
    ),
]
#: Column of the name of an image.
_IMAGE = "image"
#: Characters of a text that a table shows.
_SHOWN = 60


@app.command("create")
def create(
    path: _Path,
    encoder: Annotated[str, typer.Option("--encoder", help="Encoder of the texts; see fewshot learners ls.")] = "auto",
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Similarity below which queries are rejected.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Make a registry without classes. The encoder is settled here, and auto is the multilingual one."""
    from classic.registry import PrototypeRegistry

    with PrototypeRegistry.create(path, encoder, threshold=threshold, **_context(device)) as registry:
        say(f"made {path}, with encoder {registry.encoder}")


@app.command("add")
@with_options(Reading)
def add(
    ctx: typer.Context,
    path: _Path,
    name: _Name = None,
    texts: _Texts = None,
    source: _From = None,
    trust: Trust = False,
    device: Device = "auto",
) -> None:
    """Register new classes from texts: NAME TEXT..., NAME --from FILE, or --from FILE with labels. All or none."""
    reading = Reading.of(ctx.params, source)
    with _open(path, device, trust) as registry:
        classes = _classes(registry, name, texts, source, reading)
        registry.add(classes)
    _tell_done("added", classes)


@app.command("update")
@with_options(Reading)
def update(
    ctx: typer.Context,
    path: _Path,
    name: _Name = None,
    texts: _Texts = None,
    source: _From = None,
    rule: Annotated[str, typer.Option("--rule", help="mean of all texts so far, or ema.")] = "mean",
    rate: Annotated[float, typer.Option("--rate", help="Weight of the new texts under ema.")] = 0.1,
    trust: Trust = False,
    device: Device = "auto",
) -> None:
    """Move registered classes by new texts: by their exact mean, or by an exponential moving average. All or none."""
    reading = Reading.of(ctx.params, source)
    with _open(path, device, trust) as registry:
        classes = _classes(registry, name, texts, source, reading)
        registry.update(classes, rule, rate)  # pyright: ignore[reportArgumentType] - it checks the name
    _tell_done("updated", classes)


@app.command("query")
@with_options(Reading)
def query(
    ctx: typer.Context,
    path: _Path,
    texts: _Texts = None,
    source: Annotated[str | None, typer.Option("--from", help="File of texts, - for stdin, or images.")] = None,
    k: Annotated[int, typer.Option("-k", help="Classes shown for each text.")] = 3,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Similarity below which a text is rejected.")
    ] = None,
    trust: Trust = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Show the nearest classes of texts, with their similarities. A text whose nearest is too far has no class."""
    from fewshot.cli.inputs import read_texts

    reading = Reading.of(ctx.params, source)
    if not texts and source is None:
        raise UsageError("there is nothing to ask: give texts, or --from FILE")
    with _open(path, device, trust, read_only=True) as registry:
        asked = _named(registry, texts)
        if source is not None:
            asked += read_texts(source, sys.stdin.buffer, reading=reading)
        found = registry.query([new.text for new in asked], k, threshold)
    answered = [(new.values.get(_IMAGE, new.text), each) for new, each in zip(asked, found, strict=True)]
    if as_json:
        show_json([_document(text, each) for text, each in answered])
        return
    show_table(
        ["text", "class", "nearest"], [[_short(text), each.label or "-", _nearest(each)] for text, each in answered]
    )


@app.command("tune")
@with_options(Reading)
def tune(
    ctx: typer.Context,
    path: _Path,
    source: Annotated[str, typer.Option("--from", help="File with labels, of texts of no registered class too.")],
    keep: Annotated[bool, typer.Option("--set", help="Make it the threshold of the registry.")] = False,
    trust: Trust = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find the threshold that best tells texts of registered classes from others, whose labels are not registered."""
    from dataclasses import asdict

    reading = Reading.of(ctx.params, source)
    with _open(path, device, trust, read_only=not keep) as registry:
        given = list(_with_text(source, reading))
        labels = [_label(new, reading.label_column or "label", source) for new in given]
        found = registry.tune([new.text for new in given], labels)
        if keep:
            registry.set_threshold(found.threshold)
    if as_json:
        show_json(asdict(found))
        return
    show(
        f"threshold {found.threshold:g}: accepts {found.right} of {found.known} texts of registered classes as what "
        f"they are, and rejects {found.rejected} of {found.others} others"
    )


@app.command("ls")
def list_classes(path: _Path, as_json: AsJson = False) -> None:
    """List the classes: how many texts each was made of, and when it last changed."""
    with _open(path, read_only=True) as registry:
        classes = registry.classes()
        facts = {"encoder": registry.encoder, "threshold": registry.threshold}
    if as_json:
        rows = [{"name": each.name, "items": each.items, "updated": each.updated} for each in classes]
        show_json({**facts, "classes": rows})
        return
    show_table(
        ["class", "items", "updated"], [[each.name, each.items, each.updated] for each in classes], right=["items"]
    )
    rejects = "rejects nothing" if facts["threshold"] is None else f"rejects below {facts['threshold']:g}"
    show(f"{len(classes)} classes, encoder {facts['encoder']}, {rejects}")


@app.command("remove")
def remove(path: _Path, names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Classes.")]) -> None:
    """Take classes away: all of them or none. What was done to them stays in the history."""
    with _open(path) as registry:
        registry.remove(*names)
    say(f"removed: {', '.join(names)}")


@app.command("merge")
def merge(
    path: _Path,
    into: Annotated[str, typer.Argument(metavar="NAME", help="Class that remains.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Classes that become part of it.")],
) -> None:
    """Make one class of several, each weighted by its texts."""
    with _open(path) as registry:
        registry.merge(into, *others)
    say(f"merged into {into}: {', '.join(others)}")


@app.command("history")
def history(
    path: _Path,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this class.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was done to a class, or to all, in order."""
    from dataclasses import asdict

    with _open(path, read_only=True) as registry:
        events = registry.history(name)
    if as_json:
        show_json([asdict(event) for event in events])
        return
    rows = [[event.at, event.verb, event.name, event.items, event.detail] for event in events]
    show_table(["at (UTC)", "what", "class", "items", "how"], rows, right=["items"])


def _open(path: Path, device: str = "auto", trust: bool = False, *, read_only: bool = False) -> PrototypeRegistry:
    from classic.registry import PrototypeRegistry

    return PrototypeRegistry.open(path, read_only=read_only, trust=trust, **_context(device))


def _context(device: str) -> dict[str, Any]:
    return {"device": device, "offline": offline(), "notify": say}


def _classes(
    registry: PrototypeRegistry, name: str | None, texts: list[str] | None, source: str | None, reading: Reading
) -> dict[str, list[str]]:
    """The texts or images of each class that is named on the command line or in a file.

    Raises:
        UsageError: no texts, or no class for them.
    """
    if not texts and source is None:
        raise UsageError("there are no texts: give NAME TEXT..., NAME --from FILE, or --from FILE with a column label")
    given = [*_named(registry, texts), *(() if source is None else _with_text(source, reading))]
    if name is not None:
        return {name: [new.text for new in given]}
    classes: dict[str, list[str]] = {}
    for new in given:
        classes.setdefault(_label(new, reading.label_column or "label", source), []).append(new.text)
    return classes


def _named(registry: PrototypeRegistry, texts: list[str] | None) -> list[NewText]:
    """What is named on the command line: texts, or files where the encoder reads images."""
    from fewshot.cli.inputs import NewText
    from fewshot.core.images import as_image

    if registry.modality != "image":
        return [NewText(at, text) for at, text in enumerate(texts or (), start=1)]
    return [NewText(at, as_image(file), values={_IMAGE: file}) for at, file in enumerate(texts or (), start=1)]


def _label(new: NewText, column: str, source: str | None) -> str:
    """The class that a row names; of an image, its folder."""
    label = new.values.get(column)
    if _IMAGE in new.values and column not in new.values:
        label = str(PurePath(new.values[_IMAGE]).parent)
        if label == ".":
            raise UsageError(f"{source}: the folder of an image is its class; name one class for all images as NAME")
    elif column not in new.values:
        raise UsageError(
            f"{source}, row {new.row}: there is no column {column!r} that says of which class the text is; name the "
            "column with --label, or one class for all texts as NAME"
        )
    if label is None or not str(label).strip():
        raise UsageError(f"{source}, row {new.row}: the column {column!r} is empty; name the class of that text")
    return str(label)


def _with_text(source: str, reading: Reading) -> Iterator[NewText]:
    """The texts of a file or of stdin but for blank ones, which are counted."""
    from fewshot.cli.inputs import read_texts
    from fewshot.core.hashing import text_key

    blank = 0
    for new in read_texts(source, sys.stdin.buffer, reading=reading):
        if text_key(new.text):
            yield new
        else:
            blank += 1
    if blank:
        say(f"rows without text, left out: {blank}")


def _tell_done(done: str, classes: Mapping[str, list[str]]) -> None:
    say(f"classes {done}: {len(classes)}, of items: {sum(map(len, classes.values()))}")


def _document(text: str, found: Found) -> dict[str, Any]:
    nearest = [{"name": match.name, "similarity": round(match.similarity, 6)} for match in found.nearest]
    return {"text": text, "label": found.label, "nearest": nearest}


def _nearest(found: Found) -> str:
    shown = ", ".join(f"{match.name} {match.similarity:.3f}" for match in found.nearest)
    return shown or "nothing to be read"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
