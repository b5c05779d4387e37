"""Texts to be labelled, read one by one, and their labels, written one by one."""

from __future__ import annotations

import json
import sys
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evals.sources import SUFFIXES, read_rows, text_of
from fewshot.core.errors import StorageError, TaskError

if TYPE_CHECKING:
    from evals.learner import Learner

#: Texts that are labelled together: enough to share work, few enough to see results early.
BATCH = 64


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

    task = prepare_task(support)
    rows = [row for part in ("train", "all") for row in task.rows.get(part, ())]
    words: dict[Hashable, str] = {label.name: label.verbalizer for label in task.labels}
    classifier = EpisodeClassifier(
        learner, task=task.info, verbalizers=words, batch_size=BATCH, seed=seed, device=device
    )
    classifier.fit([row.text for row in rows], [row.label for row in rows])
    write_predictions(classifier, read_texts(source, sys.stdin.buffer), output)


def read_texts(source: str, stdin: IO[bytes], column: str = "text") -> Iterator[str]:
    """Yield the texts of a file or of stdin.

    Args:
        source: a data file, a .txt file with one text per line, or "-" for stdin: JSON objects with a key `text`, or
            plain lines.
        column: of a data file, that holds the texts.

    Raises:
        TaskError: missing, undecodable or malformed input, with its line.
    """
    if source != "-" and source.endswith(SUFFIXES):
        yield from (text_of(row, column) for row in read_rows(Path(source)))
        return
    if source == "-":
        yield from _lines(stdin, "stdin")
        return
    path = Path(source)
    if not path.is_file():
        raise TaskError(f"{path}: no such file")
    with path.open("rb") as file:
        yield from _lines(file, str(path))


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    empty = True
    for number, raw in enumerate(file, start=1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise TaskError(f"{name}:{number}: not UTF-8") from error
        if not line.strip():
            continue
        empty = False
        if line.startswith("{"):
            yield _text_in_json(line, f"{name}:{number}")
        else:
            yield line
    if empty:
        raise TaskError(f"{name}: there are no texts in it; write one per line")


def _text_in_json(line: str, where: str) -> str:
    try:
        values = json.loads(line)
    except ValueError:
        return line
    if not isinstance(values.get("text"), str):
        raise TaskError(f"{where}: the JSON object has no text under the key 'text'")
    return values["text"]


def write_predictions(classifier: Any, texts: Iterable[str], output: Path | None) -> None:
    """Label texts in batches; one JSON line per text: text, label, status, probabilities by label.

    Raises:
        StorageError: the output cannot be written.
    """
    stream = iter(texts)
    batch = list(islice(stream, BATCH))  # read before the output is opened: bad input leaves the file as it was
    with _opened(output) as file:
        while batch:
            for text, answer in zip(batch, classifier.predict_detailed(batch), strict=True):
                file.write(json.dumps(_line(text, answer, classifier.classes_), ensure_ascii=False) + "\n")
            file.flush()
            batch = list(islice(stream, BATCH))


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """The output to write to; what goes wrong with it is ours to tell."""
    if output is None:
        yield sys.stdout
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise StorageError(f"cannot write {output}: {error.strerror}") from error


def _line(text: str, answer: Any, classes: Iterable[Any]) -> dict[str, Any]:
    from math import exp

    line: dict[str, Any] = {"text": text, "label": answer.decision, "status": str(answer.status)}
    if answer.scores is not None:
        line["probabilities"] = {
            str(name): round(exp(score), 6) for name, score in zip(classes, answer.scores, strict=True)
        }
    if answer.detail:
        line["detail"] = answer.detail
    return line
