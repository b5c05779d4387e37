"""Rows of CSV (commas, semicolons or tabs) and TSV, and what looks as if a quote had swallowed some of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice

from fewshot.core.errors import TaskError

#: A cell in quotes, the quotes inside of it doubled.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
#: Lines that tell whether a TSV file is quoted, and what separates the cells of a CSV file.
_SAMPLE = 100
#: What may separate the cells of a CSV file, and the line by which some programs say so.
_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*')
_NAMES = {";": "semicolons", "\t": "tabs"}
#: Values that are remembered of each column, and how long one may be: enough to know a label again.
_REMEMBERED, _SHORT = 1000, 40


def table_rows(
    lines: Iterator[tuple[int, str]], origin: str, delimiter: str | None, max_cell: int, notify: Callable[[str], None]
) -> Iterator[tuple[dict[str, str], str, int]]:
    """Yield the records of a table as (cells by column, `file:line`, number of the row below the header).

    In TSV a quote is a character like any other, except in files whose every cell of a column is quoted; it is told
    where that leaves quotes around a cell.

    Args:
        lines: numbered, with their ends.
        delimiter: None takes a comma, a semicolon or a tab: that which fits the first lines.
        max_cell: characters in a cell at most.
        notify: told what looks odd, with its line.

    Raises:
        TaskError: a record that does not fit the header, a quote that is never closed, two columns of one name.
    """
    quoting: int = csv.QUOTE_MINIMAL
    csv.field_size_limit(max_cell)
    sample = list(islice(lines, _SAMPLE))
    if delimiter is None:
        separator = _separator(sample)
        if separator != ",":
            notify(f"{origin}: the cells are separated by {_NAMES.get(separator, separator)}")
    else:
        separator = delimiter
        if _is_quoted([line for _, line in sample]):
            notify(f"{origin}: the cells stand in quotes, which are taken off")
        else:
            quoting = csv.QUOTE_NONE
    lines = chain(sample, lines)
    records = _Records(lines, origin, separator, quoting)
    header: list[str] | None = None
    number = 0
    for cells in records:
        if not cells:
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if len(set(header)) != len(header):
                raise TaskError(f"{records.where}: two columns have the same name")
            continue
        if len(cells) != len(header):
            raise TaskError(f"{records.where}: {records.shape(cells)}, but the header has {len(header)} columns")
        records.look_at(cells)
        number += 1
        yield dict(zip(header, cells, strict=True)), records.where, number
    for note in records.notes():
        notify(note)


def _separator(sample: list[tuple[int, str]]) -> str:
    """The separator that the first line names, which is taken off the sample, or that which fits."""
    if sample and (said := _SEPARATOR_LINE.fullmatch(sample[0][1])):
        del sample[0]
        return said[1]
    return _sniffed([line for _, line in sample])


def _sniffed(lines: list[str]) -> str:
    """The separator of a CSV file: that which divides header and rows into equally many cells, a comma before others.

    Where none does, one that divides the header at all, so that the row at fault is named.
    """
    widths = {separator: _widths(lines, separator) for separator in _SEPARATORS}
    dividing = [separator for separator, found in widths.items() if found and found[0] > 1]
    even = [separator for separator in dividing if len(set(widths[separator])) == 1]
    return next(iter([*even, *dividing]), ",")


def _widths(lines: list[str], separator: str) -> list[int]:
    """How many cells the header and the rows have; nothing where they cannot be read."""
    try:
        found = [len(cells) for cells in csv.reader(lines, delimiter=separator) if cells]
    except csv.Error:
        return []
    return found[:-1] if len(lines) == _SAMPLE else found  # the last record may go on behind the sample


class _Records:
    """The records of a table, each with the lines that it was read from."""

    def __init__(self, lines: Iterator[tuple[int, str]], origin: str, delimiter: str, quoting: int) -> None:
        self._lines, self._origin, self._delimiter, self._quoting = lines, origin, delimiter, quoting
        self._taken: list[tuple[int, str]] = []
        self._seen: list[set[str]] = []
        self._doubtful: list[tuple[str, int, list[list[str]]]] = []
        self._dropped_quotes: list[str] = []
        self._kept_quotes: list[str] = []

    def __iter__(self) -> Iterator[list[str]]:
        strict = self._quoting != csv.QUOTE_NONE
        reader = csv.reader(self._feed(), delimiter=self._delimiter, quoting=self._quoting)  # pyright: ignore[reportArgumentType]
        while True:
            self._taken.clear()
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise TaskError(f"{self.where}: {error}{self._span()}") from error
            if cells is None:
                return
            if strict and '"' in self._text:
                self._check_quotes()
            elif not strict and any(map(_QUOTED.fullmatch, cells)):
                self._kept_quotes.append(self.where)
            yield cells

    def _feed(self) -> Iterator[str]:
        for numbered in self._lines:
            self._taken.append(numbered)
            yield numbered[1]

    @property
    def _text(self) -> str:
        return "".join(line for _, line in self._taken)

    @property
    def where(self) -> str:
        """`file:line` in which the record begins."""
        return f"{self._origin}:{self._taken[0][0]}" if self._taken else self._origin

    def _span(self) -> str:
        return (
            f" (a quote opens here, and the cell goes on to line {self._taken[-1][0]})" if len(self._taken) > 1 else ""
        )

    def shape(self, cells: list[str]) -> str:
        """How many cells the record has, and how many lines they take."""
        if self._quoting == csv.QUOTE_NONE and any(_opens(cell) for cell in cells):
            kept = " (a quote is a character here; it holds a cell together if all cells of a column stand in quotes)"
            return f"{len(cells)} cells{kept}"
        return f"{len(cells)} cells{self._span()}"

    def _check_quotes(self) -> None:
        """Refuse a quote that is never closed, or closed in the middle of a cell some lines below."""
        rest, sep = self._text.rstrip("\r\n"), self._delimiter
        at = 0
        while at <= len(rest):
            if rest[at : at + 1] != '"':
                end = rest.find(sep, at)
                at = len(rest) + 1 if end < 0 else end + 1
                continue
            whole = _QUOTED.match(rest, at)
            if whole is None:
                raise TaskError(
                    f"{self.where}: a quote opens here and is never closed, up to line {self._taken[-1][0]}. "
                    "Close it, or write the quote twice inside of a quoted cell"
                )
            at = whole.end()
            if at < len(rest) and rest[at] != sep:
                if len(self._taken) > 1:
                    raise TaskError(
                        f"{self.where}: a quote opens here and closes within a cell of line {self._taken[-1][0]}. "
                        "If it is part of the text, put the cell in quotes and write the quote twice"
                    )
                self._dropped_quotes.append(self.where)
                end = rest.find(sep, at)
                at = len(rest) if end < 0 else end
            at += 1

    def look_at(self, cells: list[str]) -> None:
        """Remember values, and cells over several lines of which each could be a row."""
        if not self._seen:
            self._seen = [set() for _ in cells]
        if len(self._taken) > 1:
            inner = [line.strip().split(self._delimiter) for _, line in self._taken[:-1]]
            if all(len(row) == len(cells) for row in inner):
                self._doubtful.append((self.where, len(self._taken), inner))
            return
        for values, cell in zip(self._seen, cells, strict=True):
            if len(cell) <= _SHORT and len(values) < _REMEMBERED:
                values.add(cell)

    def notes(self) -> Iterator[str]:
        """What looks odd, with its line."""
        for where, n_lines, rows in self._doubtful:
            if all(any(cell in values for cell, values in zip(row, self._seen, strict=True)) for row in rows):
                yield f"{where}: a quote opens here, and the {n_lines} lines of its cell look like rows; a stray quote?"
        if self._dropped_quotes:
            n = len(self._dropped_quotes)
            yield f"{self._dropped_quotes[0]}: a cell goes on behind its closing quote; quotes were dropped in {n} rows"
        if self._kept_quotes:
            n = len(self._kept_quotes)
            yield f"{self._kept_quotes[0]}: a cell stands in quotes, which are kept in {n} rows as part of the text"


def _opens(cell: str) -> bool:
    """Whether a quote opens a cell and does not close it."""
    return cell.startswith('"') and not _QUOTED.fullmatch(cell)


def _is_quoted(lines: list[str]) -> bool:
    """Whether some column of a TSV file has all of its cells in quotes, the header's aside."""
    rows = [line.rstrip("\r\n").split("\t") for line in lines[1:] if line.strip()]
    return any(
        all(_QUOTED.fullmatch(cell) for cell in column) for column in zip(*rows, strict=False) if len(column) > 1
    )
