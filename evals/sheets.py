"""Rows of a worksheet (.xlsx): the values that its cells show, as plain text."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, time
from itertools import chain, islice
from pathlib import Path
from typing import Any

from fewshot.core.errors import FewshotError, MissingExtra, TaskError, unknown_name

#: Rows in which the header is looked for: a title may stand above it.
_ABOVE = 20
#: Cells by column, where they stood, and the number of their row below the header.
_Record = tuple[dict[str, str], str, int]
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell ")
#: A formula without the value that it came to.
_UNCOMPUTED = re.compile(rb"</(?:\w+:)?f>(?:<(?:\w+:)?v(?: ?/>|></)|</(?:\w+:)?c>)")
#: How workbooks write a carriage return that XML would lose.
_ESCAPED_RETURN = re.compile(r"_x000D_\n?")


def sheet_rows(
    path: Path, sheet: str | None, columns: Collection[str], notify: Callable[[str], None]
) -> Iterator[_Record]:
    """Yield the records of one sheet of a workbook. Empty rows are skipped, empty cells are empty text.

    Args:
        sheet: its name; None takes the first one that has most of these columns, of those that hold anything.
        columns: names that are looked for in the first rows; the row that has most of them is the header.
        notify: told which of several sheets is read, and of cells that do not say what they show.

    Raises:
        UsageError: no sheet of this name.
        TaskError: not a readable workbook, or two columns of one name.
        MissingExtra: without openpyxl.
    """
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise MissingExtra("reading .xlsx files", "excel") from error
    try:
        _tell_hidden(path, notify)
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            yield from _read(book, path, sheet, columns, notify)
        finally:
            book.close()
    except (FewshotError, GeneratorExit):
        raise
    except Exception as error:  # a damaged workbook fails in every way there is
        raise TaskError(
            f"{path}: not a readable .xlsx file ({type(error).__name__}: {error}); is it damaged, or does it have a "
            "password? Open it in a spreadsheet program and save it anew"
        ) from error


def _read(
    book: Any, path: Path, sheet: str | None, columns: Collection[str], notify: Callable[[str], None]
) -> Iterator[_Record]:
    chosen = _choose(book, path, sheet, columns, notify)
    if chosen is None:
        return
    origin = f"{path}, sheet {chosen.title!r}"
    rows = _numbered(chosen)
    above = list(islice(rows, _ABOVE))
    at = _header_at([cells for _, cells in above], columns)
    if at is None:
        return
    header_row, header = above[at]
    names = _named(header, f"{origin}, row {header_row}")
    number = 0
    for row, cells in chain(above[at + 1 :], rows):
        if not any(cells):
            continue
        number += 1
        if len(cells) > len(names) and any(cells[len(names) :]):
            raise TaskError(f"{origin}, row {row}: there are cells to the right of the header's last column")
        padded = [*cells, *[""] * (len(names) - len(cells))]
        yield {name: cell for name, cell in zip(names, padded, strict=False) if name}, f"{origin}, row {row}", number


def _choose(
    book: Any, path: Path, sheet: str | None, columns: Collection[str], notify: Callable[[str], None]
) -> Any | None:
    """The sheet that is read, or None where all are empty."""
    sheets = {each.title: each for each in book.worksheets}
    if sheet is not None:
        if sheet not in sheets:
            raise unknown_name(f"sheet of {path.name}:", sheet, sheets)
        return sheets[sheet]
    firsts = {title: [cells for _, cells in islice(_numbered(each), _ABOVE)] for title, each in sheets.items()}
    filled = [title for title, rows in firsts.items() if any(map(any, rows))]
    if not filled:
        return None
    chosen = max(filled, key=lambda title: max(_n_named(cells, columns) for cells in firsts[title]))
    if len(filled) > 1:
        others = ", ".join(repr(title) for title in filled if title != chosen)
        notify(f"{path}: the sheet {chosen!r} is read, not {others}; --sheet changes it")
    return sheets[chosen]


def _numbered(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows as text, with their numbers as a spreadsheet shows them."""
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        yield number, [as_text(cell) for cell in cells]


def as_text(value: Any) -> str:
    """A cell's value as plain text: 3.0 is 3, midnight is left out of a date."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return _ESCAPED_RETURN.sub("\n", value) if isinstance(value, str) else str(value)


def _n_named(cells: Sequence[str], columns: Collection[str]) -> int:
    """How many of the wanted columns a row names."""
    return len(set(columns) & {cell.strip() for cell in cells})


def _header_at(rows: Sequence[Sequence[str]], columns: Collection[str]) -> int | None:
    """Which row is the header: the first that holds anything, or one below it that names more of the columns."""
    filled = [at for at, cells in enumerate(rows) if any(cells)]
    return max(filled, key=lambda at: _n_named(rows[at], columns), default=None)


def _named(header: Sequence[str], where: str) -> list[str]:
    """Names of columns; those without one are empty and not read. What is right of the last one is cut off."""
    names = [cell.strip() for cell in header]
    while names and not names[-1]:
        names.pop()
    given = [name for name in names if name]
    if len(set(given)) != len(given):
        raise TaskError(f"{where}: two columns have the same name")
    return names


def _tell_hidden(path: Path, notify: Callable[[str], None]) -> None:
    """Tell of merged cells and of formulas that hold no value: neither can be seen in the values."""
    merged = uncomputed = False
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.startswith("xl/worksheets/") or not name.endswith(".xml"):
                continue
            with archive.open(name) as file:
                rest = b""
                while chunk := file.read(1 << 20):
                    text = rest + chunk
                    merged = merged or _MERGED.search(text) is not None
                    uncomputed = uncomputed or _UNCOMPUTED.search(text) is not None
                    rest = text[-100:]
    if merged:
        notify(f"{path}: cells are merged; the value counts for the first of them, the others are empty")
    if uncomputed:
        notify(
            f"{path}: formulas without a computed value are read as empty; open the file in a spreadsheet program and "
            "save it"
        )
