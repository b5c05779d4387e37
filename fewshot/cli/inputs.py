"""Texts to be labelled, read one by one."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evals.encodings import known_encoding
from evals.images import is_unlabelled, unlabelled
from evals.sources import SPREADSHEETS, read_lines, read_rows, suffix_of, text_of, unknown_kind
from evals.types import plural
from fewshot.cli.output import say
from fewshot.cli.reading import USUAL, Reading, TaskReading
from fewshot.core.errors import TaskError, UsageError

if TYPE_CHECKING:
    from evals.learner import Learner

#: Texts that are labelled together: enough to share work, few enough to see results early.
BATCH = 64


@dataclass(frozen=True, slots=True)
class NewText:
    """A text to be labelled and its number in the input: the line, or the row below the header of a table.

    Attributes:
        column: in which it stands. values: all columns of its row; none where the input is plain lines.
    """

    row: int
    text: str
    column: str = "text"
    values: Mapping[str, Any] = field(default_factory=dict)


def label_texts(
    learner: Learner,
    support: str,
    source: str,
    output: Path | None,
    options: Mapping[str, Any],
    *,
    seed: int,
    device: str,
) -> None:
    """Label the texts of a file or of stdin by the labelled ones of a task.

    Args:
        support: a task, by its name or path. Rows held out for tests are not shown.
        source: as in `read_texts`.
        output: a file, or None for stdout.
        options: of the command, those of `TaskReading` among them.

    Raises:
        UsageError, TaskError: a support or texts that cannot be used.
        StorageError: the output cannot be written.
    """
    from evals.labeller import Labeller
    from fewshot.cli.experiment import prepare_task, refuse_kind
    from fewshot.cli.labelled import write_predictions

    reading = TaskReading.of(options, support, source)
    task = prepare_task(support, output=output, reading=reading)
    refuse_kind(task, learner)
    if task.info.modality != "image" and is_unlabelled(Path(source)):
        raise UsageError(f"{source} holds images, and {task.name} is a task of {plural(task.info.modality)}")
    labeller = Labeller(learner, task.info, task.labels, task.to_be_shown(), batch_size=BATCH, seed=seed, device=device)
    write_predictions(labeller, read_texts(source, sys.stdin.buffer, reading=reading), output)


def read_texts(source: str, stdin: IO[bytes], column: str = "text", reading: Reading = USUAL) -> Iterator[NewText]:
    """Yield the texts of a file or of stdin, blank ones too: every row of the input is answered by one of the output.

    Args:
        source: a data file, a .txt file with one text per line, or "-" for stdin: JSON objects with a key `text`, or
            plain lines. Of images a file, a folder or a zip file; one that cannot be read is told and left blank.
        column: of a data file or of JSON objects, that holds the texts, where `reading` names none.
        reading: encoding and sheet are found out where it says nothing; stdin is UTF-8 then.

    Raises:
        TaskError: missing, undecodable or malformed input, with its line; plain lines that are all blank.
    """
    column = reading.text_column or column
    named = reading.for_source(source)
    encoding, sheet = named.get("encoding"), named.get("sheet")
    path = Path(source)
    if source == "-":
        with closing(_decoded(stdin, encoding)) as lines:
            yield from _texts(lines, "stdin", column)
    elif suffix_of(source):
        for row in read_rows(path, say, encoding=encoding, sheet=sheet, columns=(column,)):
            yield NewText(row.number, text_of(row, column), column, row.values)
    elif is_unlabelled(path):
        yield from _images(path)
    elif not path.is_file():
        raise TaskError(f"{path}: no such file")
    elif path.suffix.lower() in SPREADSHEETS:
        raise unknown_kind(path)
    else:
        yield from _texts(read_lines(path, say, encoding), str(path), column)


def _images(path: Path) -> Iterator[NewText]:
    """The images of a source, each with its name."""
    number = 0
    for number, (name, image) in enumerate(unlabelled(path), start=1):
        if isinstance(image, TaskError):
            say(str(image))
        yield NewText(number, "" if isinstance(image, TaskError) else image, "text", {"image": name})
    if not number:
        raise TaskError(f"{path}: there are no images in it")


def _decoded(stdin: IO[bytes], encoding: str | None) -> Generator[tuple[int, str]]:
    """The lines of stdin as they come, numbered, whatever ends them, without byte-order marks."""
    wrapped = io.TextIOWrapper(stdin, encoding=known_encoding(encoding or "utf-8"), newline="")
    number = 0
    try:
        for number, line in enumerate(wrapped, start=1):
            yield number, line.lstrip("\ufeff") if number == 1 else line
    except UnicodeError as error:
        raise TaskError(
            f"stdin:{number + 1}: not {encoding or 'UTF-8'}; name its encoding with --encoding (cp949, utf-16 ...)"
        ) from error
    finally:
        wrapped.detach()


def _texts(lines: Iterator[tuple[int, str]], name: str, column: str) -> Iterator[NewText]:
    blank = True
    for number, ended in lines:
        line = ended.rstrip("\r\n")
        blank = blank and not line.strip()
        yield _from_json(line, number, f"{name}:{number}", column) if line.startswith("{") else NewText(number, line)
    if blank:
        raise TaskError(f"{name}: there are no texts in it; write one per line")


def _from_json(line: str, number: int, where: str, column: str) -> NewText:
    """The text of a JSON object; a line that is none is a text itself."""
    try:
        values = json.loads(line)
    except ValueError:
        return NewText(number, line)
    except RecursionError as error:
        raise TaskError(f"{where}: not valid JSON: nested too deeply") from error
    if not isinstance(values.get(column), str):
        raise TaskError(f"{where}: the JSON object has no text under the key {column!r}")
    return NewText(number, values[column], column, values)
