"""Rows from files: JSONL, CSV and TSV (plain or gzip), XLSX and Parquet, with errors that name file and line."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evals.encodings import Recoded, detect, known_encoding
from evals.sheets import sheet_rows
from evals.tables import table_rows
from fewshot.core.errors import MissingExtra, TaskError, UsageError
from fewshot.core.hashing import without_invisible

SUFFIXES = (".jsonl.gz", ".jsonl", ".csv.gz", ".csv", ".tsv.gz", ".tsv", ".xlsx", ".parquet")
#: Longest line that is read, in bytes. A longer one is a broken file far more often than a text to classify.
MAX_LINE = 4_000_000

#: What parts are called, in names of files and in columns.
PART_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "all": "all",
}
_CHUNK = 1 << 20
#: First bytes of a file that tell UTF-16.
_HEAD = 4096
_UTF8 = ("utf-8", "utf8", "utf-8-sig")
#: Files of spreadsheet programs that are not read.
SPREADSHEETS = (".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
#: Cells by column, where they stood, and the number of their row.
_Record = tuple[Mapping[str, Any], str, int]
#: Half a character, which UTF-8 has no bytes for.
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file, where it stood, and its number: the line of a JSONL file, else counted without a header."""

    values: Mapping[str, Any]
    where: str
    number: int


def suffix_of(name: str) -> str | None:
    """Which of the known suffixes a file's name ends in, in whatever case; None where it ends in none."""
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), None)


def find_files(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Data files of a folder by part: `train`, `valid` (or validation, val, dev), `test`, `all`, any known suffix.

    Args:
        prefix: only files named `<prefix>.<part><suffix>`.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        suffix = suffix_of(path.name)
        if suffix is None:
            continue
        stem = path.name[: -len(suffix)]
        if prefix:
            if not stem.startswith(f"{prefix}."):
                continue
            stem = stem.removeprefix(f"{prefix}.")
        if part := PART_NAMES.get(stem.lower()):
            found.setdefault(part, path)
    return found


def unknown_kind(path: Path) -> TaskError:
    """The error for a file of no known suffix, with the way out."""
    if path.suffix.lower() in SPREADSHEETS:
        return TaskError(f"{path}: {path.suffix} files are not read; save it as .xlsx or .csv in a spreadsheet program")
    return TaskError(f"{path}: unknown kind of file; use one of {', '.join(SUFFIXES)}")


def read_rows(
    path: Path,
    notify: Callable[[str], None] | None = None,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    columns: Collection[str] = (),
) -> Iterator[Row]:
    """Yield the records of a file, one at a time.

    Args:
        notify: told what looks odd about the file, with its line, and what was found out about it.
        encoding: of a file of text; None finds it out.
        sheet: of a workbook; None takes the first one that has these columns, else the first one.
        columns: that are wanted.

    Raises:
        UsageError: an encoding or a sheet that there is not.
        TaskError: missing or empty file, wrong encoding, malformed line; the message names file and line.
        MissingExtra: Parquet without pyarrow, XLSX without openpyxl.
    """
    suffix = suffix_of(path.name)
    if suffix is None:
        raise unknown_kind(path)
    if not path.is_file():
        raise TaskError(f"{path}: no such file" if not path.exists() else f"{path}: not a file that holds rows")
    if encoding is not None and suffix in (".parquet", ".xlsx"):
        raise UsageError(f"--encoding is for files of text, and {path} is none; leave it out")
    if sheet is not None and suffix != ".xlsx":
        raise UsageError(f"--sheet is for .xlsx files, and {path} is none; leave it out")
    tell = notify or (lambda _: None)
    empty = True
    try:
        records = (
            sheet_rows(path, sheet, columns, tell) if suffix == ".xlsx" else _records(path, suffix, tell, encoding)
        )
        for values, where, number in records:
            empty = False
            yield Row(_named(values, where), where, number)
    except (OSError, zlib.error) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error
    if empty:
        raise TaskError(f"{path}: the file holds no rows")


def _records(path: Path, suffix: str, notify: Callable[[str], None], encoding: str | None) -> Iterator[_Record]:
    if suffix == ".parquet":
        return _read_parquet(path)
    lines = read_lines(path, notify, encoding)
    if suffix.startswith(".jsonl"):
        return _read_jsonl(path, lines)
    return table_rows(lines, str(path), "\t" if suffix.startswith(".tsv") else None, MAX_LINE, notify)


def _named(values: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The record, with column names that hold nothing invisible."""
    if all(map(str.isascii, values)):
        return values
    named = {without_invisible(name).strip(): value for name, value in values.items()}
    if len(named) != len(values):
        raise TaskError(f"{where}: two columns have the same name but for invisible characters")
    return named


def _open(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def read_lines(
    path: Path, notify: Callable[[str], None] = lambda _: None, encoding: str | None = None
) -> Iterator[tuple[int, str]]:
    """Decoded lines with their numbers and line ends, without byte-order marks.

    Args:
        notify: told which encoding was found, if it is another than UTF-8.
        encoding: None finds it out.

    Raises:
        UsageError: no encoding of this name.
        TaskError: an encoding that cannot be told or is not that of the file, a line that is too long.
    """
    named = known_encoding(encoding) if encoding else _encoding_of(path)
    if not encoding and named not in _UTF8:
        notify(f"{path}: read as {named}; --encoding changes it")
    number = 0
    with _open(path) as file:
        try:
            for number, raw in enumerate(_raw_lines(file if named in _UTF8 else Recoded(file, named)), start=1):
                if len(raw) > MAX_LINE:
                    raise TaskError(
                        f"{path}:{number}: the line is longer than {MAX_LINE:,} bytes; is this the right file?"
                    )
                yield number, _decode(raw, path, number)
        except EOFError as error:
            raise TaskError(f"{path}: the compressed file is cut short") from error
        except UnicodeError as error:
            raise TaskError(
                f"{path}:{number + 1}: from this line on, or soon after it, the file is not {named}; "
                "name another --encoding, or save the file as UTF-8"
            ) from error


def _encoding_of(path: Path) -> str:
    """The encoding of a file by its bytes; UTF-8 where none fits, so that its first line that is not is named."""
    try:
        with _open(path) as file:
            head = file.read(_HEAD)
        with _open(path) as file:
            return detect(head, _raw_lines(file)) or "utf-8"
    except EOFError as error:
        raise TaskError(f"{path}: the compressed file is cut short") from error


def _raw_lines(file: gzip.GzipFile | IO[bytes] | Recoded) -> Iterator[bytes]:
    """Lines that end in LF, CR LF or CR, with their ends. One that is too long is given as far as it was read."""
    rest = b""
    while chunk := file.read(_CHUNK):
        *lines, rest = (rest + chunk).splitlines(keepends=True)
        yield from lines
        if len(rest) > MAX_LINE:
            break
    # A chunk may end between CR and LF, so its last line waits for the next one.
    yield from [rest] if rest else []


def _decode(raw: bytes, path: Path, number: int) -> str:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path}:{number}: not UTF-8 (byte 0x{raw[error.start]:02x} at position {error.start}); "
            "if it is in another encoding, name it with --encoding (cp949, utf-16, cp1252 ...), or save it as UTF-8"
        ) from error
    return line.lstrip("\ufeff") if number == 1 else line


def _read_jsonl(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[_Record]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
            why = "nested too deeply" if isinstance(error, RecursionError) else error
            raise TaskError(f"{path}:{number}: not valid JSON: {why}") from error
        if not isinstance(values, dict):
            raise TaskError(f"{path}:{number}: a JSON object is expected on every line")
        yield values, f"{path}:{number}", number


def _read_parquet(path: Path) -> Iterator[_Record]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("reading Parquet files", "data") from error
    try:
        file = parquet.ParquetFile(path)
        if len(set(file.schema_arrow.names)) != len(file.schema_arrow.names):
            raise TaskError(f"{path}: two columns have the same name")
        number = 0
        for batch in file.iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield values, f"{path}, row {number}", number
    except (TaskError, GeneratorExit):
        raise
    except Exception as error:
        raise TaskError(f"{path}: not a readable Parquet file: {error}") from error


def missing_column(row: Row, column: str) -> TaskError:
    """The error for a row without a column: the columns that are there, and the ways out."""
    return TaskError(
        f"{row.where}: there is no column {column!r}; the columns are {', '.join(map(str, row.values))}. Rename one to "
        f"{column!r}, or name it: with --text and --label, or in a task card (fewshot tasks new)"
    )


def text_of(row: Row, column: str) -> str:
    """The text column of a row.

    Raises:
        TaskError: no such column (the columns there are named), not text, or a lone surrogate in it.
    """
    if column not in row.values:
        raise missing_column(row, column)
    value = row.values[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TaskError(f"{row.where}: column {column!r} holds {type(value).__name__}, not text")
    if LONE_SURROGATE.search(value):
        raise TaskError(
            f"{row.where}: column {column!r} holds half a character (a lone surrogate); remove or repair it"
        )
    return value
