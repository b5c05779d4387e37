"""Which columns of someone's file hold the texts and the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.parts import SPLIT_COLUMNS, part_of
from evals.sources import read_rows
from fewshot.core.errors import TaskError, unknown_name


@dataclass(frozen=True)
class Columns:
    """Names of the columns; `guessed` where neither the user nor a plain `text` and `label` said so."""

    text: str
    label: str
    guessed: bool = False


def find_columns(
    path: Path,
    text: str | None = None,
    label: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> Columns:
    """The columns of a file: those that are named, else `text` and `label`, else the only ones that look like it.

    Texts are mostly distinct and mostly of several words; labels are few. Nothing is guessed among several.

    Raises:
        UsageError: a column that is named is not there; the nearest ones are.
        TaskError: an unreadable file, or columns that cannot be told; all are listed.
    """
    wanted = (text or "text", label or "label")
    rows = [row.values for row in read_rows(path, encoding=encoding, sheet=sheet, columns=wanted)]
    values = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    for name in (text, label):
        if name is not None and name not in values:
            raise unknown_name(f"column of {path.name}:", name, map(str, values))
    found_text = text or _choose(path, values, "text", label, _looks_like_texts)
    found_label = label or _choose(path, values, "label", found_text, _looks_like_labels)
    guessed = (text is None and found_text != "text") or (label is None and found_label != "label")
    return Columns(found_text, found_label, guessed)


def _choose(
    path: Path,
    values: Mapping[str, Sequence[Any]],
    wanted: str,
    taken: str | None,
    fits: Callable[[Sequence[Any]], bool],
) -> str:
    if wanted in values and wanted != taken:
        return wanted
    fitting = [
        name for name, column in values.items() if name != taken and fits(column) and not _names_parts(name, column)
    ]
    if len(fitting) == 1:
        return fitting[0]
    which = f"could be {' or '.join(fitting)}" if fitting else "cannot be told"
    raise TaskError(
        f"{path}: the {wanted} column {which}; name it with --{wanted}. The columns are {', '.join(values)}"
    )


def _names_parts(name: str, column: Sequence[Any]) -> bool:
    """Whether a column says of which part each row is."""
    return name.lower() in SPLIT_COLUMNS and all(map(part_of, column))


def _looks_like_texts(column: Sequence[Any]) -> bool:
    words = [value for value in column if isinstance(value, str) and len(value.split()) > 1]
    return 2 * len(words) > len(column) and 2 * len(set(words)) > len(words)


def _looks_like_labels(column: Sequence[Any]) -> bool:
    if not all(isinstance(value, str | int) and str(value).strip() for value in column):
        return False
    return 1 < len(set(column)) <= len(column) / 2
