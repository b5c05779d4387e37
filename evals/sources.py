"""Rows from files: JSONL, CSV and TSV (plain or gzip), and Parquet, with errors that name file and line."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evals.tables import table_rows
from fewshot.core.errors import MissingExtra, TaskError
from fewshot.core.hashing import without_invisible

SUFFIXES = (".jsonl.gz", ".jsonl", ".csv.gz", ".csv", ".tsv.gz", ".tsv", ".parquet")
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


def read_rows(path: Path, notify: Callable[[str], None] | None = None) -> Iterator[Row]:
    """Yield the records of a file, one at a time.

    Args:
        notify: told what looks odd about the file, with its line.

    Raises:
        TaskError: missing or empty file, wrong encoding, malformed line; the message names file and line.
        MissingExtra: Parquet without pyarrow.
    """
    suffix = suffix_of(path.name)
    if suffix is None:
        raise TaskError(f"{path}: unknown kind of file; use one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise TaskError(f"{path}: no such file" if not path.exists() else f"{path}: not a file that holds rows")
    empty = True
    try:
        for values, where, number in _records(path, suffix, notify or (lambda _: None)):
            empty = False
            yield Row(_named(values, where), where, number)
    except (OSError, zlib.error) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error
    if empty:
        raise TaskError(f"{path}: the file holds no rows")


def _records(path: Path, suffix: str, notify: Callable[[str], None]) -> Iterator[_Record]:
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix.startswith(".jsonl"):
        return _read_jsonl(path)
    return table_rows(_lines(path), str(path), "\t" if suffix.startswith(".tsv") else ",", MAX_LINE, notify)


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


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Decoded lines with their numbers and line ends, without byte-order marks."""
    with _open(path) as file:
        try:
            for number, raw in enumerate(_raw_lines(file), start=1):
                if len(raw) > MAX_LINE:
                    raise TaskError(
                        f"{path}:{number}: the line is longer than {MAX_LINE:,} bytes; is this the right file?"
                    )
                yield number, _decode(raw, path, number)
        except EOFError as error:
            raise TaskError(f"{path}: the compressed file is cut short") from error


def _raw_lines(file: gzip.GzipFile | IO[bytes]) -> Iterator[bytes]:
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
            f"convert the file, for instance: iconv -f cp949 -t utf-8 {path.name}"
        ) from error
    return line.lstrip("\ufeff") if number == 1 else line


def _read_jsonl(path: Path) -> Iterator[_Record]:
    for number, line in _lines(path):
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
        f"{column!r}, or name it: in a task card (fewshot tasks new), or with --text and --label of fewshot recommend, "
        "--text of fewshot predict"
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
