"""Rows from files: JSONL (plain or gzip), CSV, TSV and Parquet, with errors that name file and line."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fewshot.core.errors import MissingExtra, TaskError

SUFFIXES = (".jsonl.gz", ".jsonl", ".csv", ".tsv", ".parquet")
#: Longest line that is read, in bytes. A longer one is a broken file far more often than a text to classify.
MAX_LINE = 4_000_000

_PART_NAMES = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test", "all": "all"}
#: Half a character, which UTF-8 has no bytes for.
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file, where it stood, and its number: the line of a JSONL file, else counted without a header."""

    values: Mapping[str, Any]
    where: str
    number: int


def find_files(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Data files of a folder by part: `train`, `valid` (or validation, dev), `test`, `all`, any known suffix.

    Args:
        prefix: only files named `<prefix>.<part><suffix>`.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
        if suffix is None:
            continue
        stem = path.name.removesuffix(suffix)
        if prefix:
            if not stem.startswith(f"{prefix}."):
                continue
            stem = stem.removeprefix(f"{prefix}.")
        if part := _PART_NAMES.get(stem):
            found.setdefault(part, path)
    return found


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the records of a file, one at a time.

    Raises:
        TaskError: missing or empty file, wrong encoding, malformed line; the message names file and line.
        MissingExtra: Parquet without pyarrow.
    """
    suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
    if suffix is None:
        raise TaskError(f"{path}: unknown kind of file; use one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise TaskError(f"{path}: no such file")
    readers = {".jsonl": _read_jsonl, ".jsonl.gz": _read_jsonl, ".parquet": _read_parquet}
    empty = True
    try:
        for row in readers.get(suffix, _read_table)(path):
            empty = False
            yield row
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error
    if empty:
        raise TaskError(f"{path}: the file holds no rows")


def _open(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Decoded lines with their numbers, without BOM and line ends."""
    with _open(path) as file:
        try:
            for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
                if len(raw) > MAX_LINE:
                    raise TaskError(
                        f"{path}:{number}: the line is longer than {MAX_LINE:,} bytes; is this the right file?"
                    )
                yield number, _decode(raw, path, number)
        except EOFError as error:
            raise TaskError(f"{path}: the compressed file is cut short") from error


def _decode(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path}:{number}: not UTF-8 (byte 0x{raw[error.start]:02x} at position {error.start}); "
            f"convert the file, for instance: iconv -f cp949 -t utf-8 {path.name}"
        ) from error


def _read_jsonl(path: Path) -> Iterator[Row]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise TaskError(f"{path}:{number}: not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise TaskError(f"{path}:{number}: a JSON object is expected on every line")
        yield Row(values, f"{path}:{number}", number)


def _read_table(path: Path) -> Iterator[Row]:
    """CSV with quotes; TSV without (a quote there is a character like any other)."""
    tabbed = path.suffix == ".tsv"
    csv.field_size_limit(MAX_LINE)
    lines = (line for _, line in _lines(path))
    reader = csv.reader(
        lines, delimiter="\t" if tabbed else ",", quoting=csv.QUOTE_NONE if tabbed else csv.QUOTE_MINIMAL
    )
    header: list[str] | None = None
    number = 0
    try:
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not cells:
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if len(set(header)) != len(header):
                    raise TaskError(f"{where}: two columns have the same name")
                continue
            if len(cells) != len(header):
                raise TaskError(f"{where}: {len(cells)} cells, but the header has {len(header)} columns")
            number += 1
            yield Row(dict(zip(header, cells, strict=True)), where, number)
    except csv.Error as error:
        raise TaskError(f"{path}:{reader.line_num}: {error}") from error


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("reading Parquet files", "data") from error
    try:
        file = parquet.ParquetFile(path)
    except Exception as error:
        raise TaskError(f"{path}: not a readable Parquet file: {error}") from error
    number = 0
    for batch in file.iter_batches():
        for values in batch.to_pylist():
            number += 1
            yield Row(values, f"{path}, row {number}", number)


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
