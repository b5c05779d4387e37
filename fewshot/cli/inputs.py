"""Texts to be labelled, read one by one, and their labels, written one by one."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evals.sources import read_rows, suffix_of, text_of
from fewshot.cli.answers import Tally
from fewshot.core.errors import TaskError
from fewshot.core.hashing import text_key
from fewshot.core.paths import opened_atomically

if TYPE_CHECKING:
    from evals.learner import Learner
    from evals.types import Answer

#: Texts that are labelled together: enough to share work, few enough to see results early.
BATCH = 64
#: Status of a row without text: no learner was asked.
EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class NewText:
    """A text to be labelled and its number in the input: the line, or the row below the header of a table."""

    row: int
    text: str


def label_texts(learner: Learner, support: str, source: str, output: Path | None, *, seed: int, device: str) -> None:
    """Label the texts of a file or of stdin by the labelled ones of a task; one JSON line each.

    Args:
        support: a task, by its name or path. Rows held out for tests are not shown.
        source: as in `read_texts`.
        output: a file, or None for stdout.

    Raises:
        UsageError, TaskError: a support or texts that cannot be used.
        StorageError: the output cannot be written.
    """
    from evals.adapters import EpisodeClassifier
    from fewshot.cli.experiment import prepare_task

    task = prepare_task(support, output=output)
    rows = [row for part in ("train", "all") for row in task.rows.get(part, ())]
    words: dict[Hashable, str] = {label.name: label.verbalizer for label in task.labels}
    classifier = EpisodeClassifier(
        learner, task=task.info, verbalizers=words, batch_size=BATCH, seed=seed, device=device
    )
    classifier.fit([row.text for row in rows], [row.label for row in rows])
    write_predictions(classifier, read_texts(source, sys.stdin.buffer), output)


def read_texts(source: str, stdin: IO[bytes], column: str = "text") -> Iterator[NewText]:
    """Yield the texts of a file or of stdin, blank ones too: every row of the input is answered by one of the output.

    Args:
        source: a data file, a .txt file with one text per line, or "-" for stdin: JSON objects with a key `text`, or
            plain lines.
        column: of a data file, that holds the texts.

    Raises:
        TaskError: missing, undecodable or malformed input, with its line; plain lines that are all blank.
    """
    if source != "-" and suffix_of(source):
        yield from (NewText(row.number, text_of(row, column)) for row in read_rows(Path(source)))
        return
    if source == "-":
        yield from _lines(stdin, "stdin")
        return
    path = Path(source)
    if not path.is_file():
        raise TaskError(f"{path}: no such file")
    with path.open("rb") as file:
        yield from _lines(file, str(path))


def _lines(file: IO[bytes], name: str) -> Iterator[NewText]:
    blank = True
    for number, raw in enumerate(file, start=1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise TaskError(f"{name}:{number}: not UTF-8") from error
        blank = blank and not line.strip()
        yield NewText(number, _text_in_json(line, f"{name}:{number}") if line.startswith("{") else line)
    if blank:
        raise TaskError(f"{name}: there are no texts in it; write one per line")


def _text_in_json(line: str, where: str) -> str:
    try:
        values = json.loads(line)
    except ValueError:
        return line
    if not isinstance(values.get("text"), str):
        raise TaskError(f"{where}: the JSON object has no text under the key 'text'")
    return values["text"]


def write_predictions(classifier: Any, texts: Iterable[NewText], output: Path | None) -> None:
    """Label texts in batches; one JSON line per text: row, text, label, status, probabilities by label.

    A file is written whole or not at all; stdout sees every batch as it is answered. In the end stderr is told what
    puts the labels in question.

    Raises:
        StorageError: the output cannot be written.
        FewshotError: no text was answered.
    """
    tally = Tally()
    stream = iter(texts)
    batch = list(islice(stream, BATCH))  # read before the output is opened: bad input is told first
    with nullcontext(sys.stdout.buffer) if output is None else opened_atomically(output) as file:
        while batch:
            asked = [new.text for new in batch if text_key(new.text)]
            answers = iter(classifier.predict_detailed(asked) if asked else ())
            for new in batch:
                answer = next(answers) if text_key(new.text) else None
                tally.add(answer)
                line = {"row": new.row, "text": new.text, **_answered(answer, classifier.classes_)}
                file.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())
            file.flush()
            batch = list(islice(stream, BATCH))
    tally.tell(Counter(str(example.label) for example in classifier.support_))


def _answered(answer: Answer | None, classes: Iterable[Any]) -> dict[str, Any]:
    """What is said of one text; None where there was nothing to be asked."""
    from math import exp

    if answer is None:
        return {"label": None, "status": EMPTY}
    found: dict[str, Any] = {"label": answer.decision, "status": str(answer.status)}
    if answer.scores is not None:
        found["probabilities"] = {
            str(name): round(exp(score), 6) for name, score in zip(classes, answer.scores, strict=True)
        }
    if answer.detail:
        found["detail"] = answer.detail
    return found
