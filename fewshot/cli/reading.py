"""How the user's files are read: options that every command has that takes one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Self

import typer

from fewshot.core.errors import UsageError

_Encoding = Annotated[str | None, typer.Option("--encoding", help="Encoding of the file.  [default: found out]")]
_Sheet = Annotated[str | None, typer.Option("--sheet", help="Sheet of an .xlsx file.  [default: the first that fits]")]


def _listed(names: Iterable[str] | None) -> list[str] | None:
    """A list, as it is stored too; None where nothing is named."""
    return list(names or ()) or None


Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", help="Class to leave out, with its texts; may be repeated.", callback=_listed),
]
_Label = Annotated[str | None, typer.Option("--label", "--label-column", help="Column of the labels.")]
_Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        help="classification, multilabel, tagging or generation, of a file without a card.  [default: by its columns]",
    ),
]
_Separator = Annotated[
    str | None, typer.Option("--separator", help="Between the labels of one cell.  [default: | or ;]")
]


@dataclass(frozen=True)
class Reading:
    """Columns, encoding and sheet of files; None leaves each to the card, to the usual names, or to be found out."""

    text_column: Annotated[str | None, typer.Option("--text", "--text-column", help="Column of the texts.")] = None
    label_column: _Label = None
    encoding: _Encoding = None
    sheet: _Sheet = None

    @classmethod
    def of(cls, options: Mapping[str, Any], *sources: str | None) -> Self:
        """What the options of a command say about these sources.

        Args:
            sources: what the command reads: tasks, several joined by + too, or a file of texts.

        Raises:
            UsageError: an option that concerns none of them.
        """
        reading = cls(**{field.name: options.get(field.name) for field in fields(cls)})
        named = [name for source in sources if source for name in source.split("+")]
        concerned = {key for name in named for key in reading.for_source(name)}
        for key, value in reading._given().items():
            if key not in concerned:
                raise UsageError(f"--{key} {value}: that is said of a file, and {_none_of(key, named)}")
        return reading

    def for_source(self, name: str) -> dict[str, Any]:
        """What of it concerns a source, as arguments of `load_task`; nothing for a task that is shipped."""
        from evals.loading import is_own
        from evals.sources import suffix_of

        if not is_own(name) and name != "-":
            return {}
        suffix = suffix_of(name)
        silent = {"encoding"} if suffix in (".xlsx", ".parquet") else set[str]()
        silent |= {"sheet"} if suffix not in (None, ".xlsx") or name.endswith(".txt") or name == "-" else set()
        return {key: value for key, value in self._given().items() if key not in silent}

    def as_options(self, name: str) -> list[str]:
        """What of it concerns a source, as it is written on a command line."""
        given = {key: value if isinstance(value, tuple) else (value,) for key, value in self.for_source(name).items()}
        return [part for key, values in given.items() for value in values for part in (f"--{key}", value)]

    def _given(self) -> dict[str, Any]:
        return {key.removesuffix("_column"): value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class TaskReading(Reading):
    """The same of a task, whose classes need not all take part; of a task that is shipped too."""

    kind: _Kind = None
    separator: _Separator = None
    drop: Drop = None

    def for_source(self, name: str) -> dict[str, Any]:
        found = super().for_source(name)
        return {**found, "drop": tuple(self.drop)} if self.drop else found


@dataclass(frozen=True)
class ReadingBesideText(TaskReading):
    """The same, for commands whose `--text` is a text."""

    text_column: Annotated[str | None, typer.Option("--text-column", help="Column of the texts.")] = None


def _none_of(option: str, names: list[str]) -> str:
    kind = {"encoding": "a file of text", "sheet": "an .xlsx file"}.get(option, "one")
    return f"{', '.join(names) or 'what is read here'} is not {kind}"


#: What is said where nothing is.
USUAL = Reading()
