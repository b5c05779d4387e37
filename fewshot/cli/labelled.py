"""New texts with their labels, written as JSON lines, as CSV or as a workbook, by the suffix of the output."""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from evals.answer_rows import answer_row
from evals.kinds.multilabel import SEPARATORS
from fewshot.cli.answers import Tally
from fewshot.cli.inputs import BATCH, NewText
from fewshot.cli.output import say
from fewshot.core.errors import FewshotError, MissingExtra, UsageError
from fewshot.core.hashing import text_key
from fewshot.core.paths import opened_atomically
from fewshot.core.spreadsheets import disarmed

if TYPE_CHECKING:
    from evals.labeller import Labeller
    from evals.types import Answer, Query

#: Status of a row without text: no learner was asked.
EMPTY = "empty"
#: Columns of the answer. One of the input that is called like that is kept as `input NAME`.
_ANSWER = ("label", "probability", "status", "detail")
_OWN = ("row", *_ANSWER, "probabilities", "tags", "entities")
#: Suffixes that promise what is not written.
_REFUSED = (".tsv", ".parquet", ".xls", ".xlsm", ".xlsb", ".ods", ".gz", ".zip", ".html", ".md")
#: What a sheet of a workbook holds at most.
_SHEET_ROWS, _SHEET_CELL = 1_048_576, 32_767


def require_labels_format(output: Path | None) -> Path | None:
    """Refuse an output that cannot be written, before there is work to lose.

    Raises:
        UsageError: a suffix of another format.
        MissingExtra: a workbook without openpyxl.
    """
    if output is None:
        return None
    if output.suffix.lower() in _REFUSED:
        raise UsageError(f"-o {output}: labels are written as .jsonl, .csv or .xlsx")
    if output.suffix.lower() == ".xlsx":
        from fewshot.core.extras import is_installed

        if not is_installed("excel"):
            raise MissingExtra("writing .xlsx files", "excel")
    return output


def write_predictions(labeller: Labeller, texts: Iterable[NewText], output: Path | None) -> None:
    """Label texts in batches and write a row for each: its number, the columns of the input, the answer.

    As JSON lines: `row`, `text`, the other columns, `label`, `probability`, `status`, `probabilities` by label. A file
    is written whole or not at all; stdout sees every batch as it is answered. In the end stderr is told what puts the
    labels in question.

    Raises:
        StorageError: the output cannot be written.
        FewshotError: no text was answered.
    """
    tally = Tally()
    stream = iter(texts)
    batch = list(islice(stream, BATCH))  # read before the output is opened: bad input is told first
    renamed: set[str] = set()
    with (
        nullcontext(sys.stdout.buffer) if output is None else opened_atomically(output) as file,
        _writer(output, file) as rows,
    ):
        while batch:
            asked = [_asked(labeller, new) for new in batch if text_key(new.text)]
            answers = iter(zip(asked, labeller.answer(asked) if asked else (), strict=True))
            for new in batch:
                query, answer = next(answers) if text_key(new.text) else (None, None)
                tally.add(answer)
                rows.add(new, _kept(new, renamed), _answered(query, answer, labeller))
            file.flush()
            batch = list(islice(stream, BATCH))
        rows.finish()
    if renamed:
        say(f"kept under other names, because the answer has columns of theirs: {', '.join(sorted(renamed))}")
    tally.tell(Counter(str(example.label) for example in labeller.support))


def _kept(new: NewText, renamed: set[str]) -> dict[str, Any]:
    """The columns of the input, with other names where the answer's would be taken."""
    kept = {}
    for name, value in new.values.items():
        own = str(name)
        if own in _OWN or (own == "text" and new.column != "text"):
            own = f"input {own}"
            renamed.add(own)
        kept[own] = value
    return kept


def _asked(labeller: Labeller, new: NewText) -> Query:
    return labeller.query(new.text, new.values, f"row {new.row}")


def _answered(query: Query | None, answer: Answer | None, labeller: Labeller) -> dict[str, Any]:
    """What is said of one text; None where there was nothing to be asked."""
    if query is None or answer is None:
        return {"label": None, "status": EMPTY}
    return answer_row(query, answer, labeller)


@contextmanager
def _writer(output: Path | None, file: IO[bytes]) -> Iterator[_Writer]:
    """What writes rows into a file in the format of its suffix."""
    table = {".csv": _Csv, ".xlsx": _Workbook}.get(output.suffix.lower()) if output is not None else None
    if table is None:
        yield _Lines(file)
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8") as waiting:
        yield table(file, waiting)


class _Writer(Protocol):
    def add(self, new: NewText, kept: Mapping[str, Any], answer: Mapping[str, Any]) -> None: ...

    def finish(self) -> None: ...


class _Lines:
    """JSON lines, written at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, new: NewText, kept: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        line = {"row": new.row, "text": new.text, **kept, **answer}
        self._file.write(f"{json.dumps(line, ensure_ascii=False, default=str)}\n".encode())

    def finish(self) -> None:
        """Nothing is left to be written."""


class _Table:
    """Rows with the same columns, which are known when all rows are: until then they wait in a temporary file."""

    def __init__(self, file: IO[bytes], waiting: IO[str]) -> None:
        self._file, self._waiting = file, waiting
        self._columns: dict[str, None] = {}

    def add(self, new: NewText, kept: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        row = {"row": new.row, **(kept or {"text": new.text})}
        self._columns.update(dict.fromkeys(row))
        row |= {name: _in_one_cell(answer[name]) for name in _ANSWER if name in answer}
        self._waiting.write(json.dumps({name: _plain(value) for name, value in row.items()}) + "\n")

    def finish(self) -> None:
        columns = [*self._columns, *_ANSWER]
        self._waiting.seek(0)
        self._write(columns, ([row.get(name) for name in columns] for row in map(json.loads, self._waiting)))

    def _write(self, columns: list[str], rows: Iterator[list[Any]]) -> None:
        raise NotImplementedError


class _Csv(_Table):
    """CSV in UTF-8. What a spreadsheet would take for a formula begins with a quote."""

    def _write(self, columns: list[str], rows: Iterator[list[Any]]) -> None:
        text = io.TextIOWrapper(self._file, encoding="utf-8", newline="", write_through=True)
        try:
            writer = csv.writer(text)
            writer.writerow(map(disarmed, columns))
            writer.writerows(map(disarmed, row) for row in rows)
        finally:
            text.detach()


class _Workbook(_Table):
    """A workbook of one sheet. Text is kept as text, whatever it begins with."""

    def _write(self, columns: list[str], rows: Iterator[list[Any]]) -> None:
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        sheet = book.create_sheet("labels")
        cut = 0
        for number, row in enumerate(chain([columns], rows), start=1):
            if number > _SHEET_ROWS:
                raise FewshotError(f"a sheet holds {_SHEET_ROWS:,} rows at most; write the labels as .csv or .jsonl")
            cut += sum(isinstance(cell, str) and len(cell) > _SHEET_CELL for cell in row)
            sheet.append([_cell(sheet, cell) for cell in row])
        book.save(self._file)
        if cut:
            say(
                f"{cut} cells are longer than the {_SHEET_CELL:,} characters that a workbook holds, and cut; "
                "as .csv or .jsonl they would be whole"
            )


def _cell(sheet: Any, value: Any) -> Any:
    """A cell of a workbook; text is never a formula, and holds nothing that a workbook cannot."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("\ufffd", value[:_SHEET_CELL]))
    cell.data_type = "s"
    return cell


def _in_one_cell(value: Any) -> Any:
    """A list of labels as it is read again, with a sign between them."""
    return (SEPARATORS[0].join(value) or SEPARATORS[0]) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """A value of one cell; what has parts is written as JSON."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)
