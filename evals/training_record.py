"""What a learner was trained on: classes and keys of texts, kept with it, so that a test can tell what it has seen."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from evals.content import content_key
from evals.episode import EpisodeSampler
from evals.learner import Learner, MetaLearner
from evals.types import Example
from fewshot.core.errors import StorageError
from fewshot.core.paths import write_atomically
from fewshot.core.spec import Spec
from fewshot.core.stored import parsed, read_object

#: File beside a trained learner.
NAME = "trained_on.json"
#: The attribute under which a learner that is in memory carries its record.
_ATTRIBUTE = "trained_on"
#: File that every trained learner has, recorded or not.
_LEARNER = "learner.json"
#: Parts within parts that are looked at: a learner in an engine, its model, what the model is made of.
_DEPTH = 4
#: Eight bytes of a hash: among a million texts, two share a key by chance once in about 40 million trials.
_BYTES = 8


@dataclass(frozen=True, eq=False)
class Seen:
    """Classes, and keys of texts (n,) in ascending order."""

    classes: frozenset[str]
    texts: np.ndarray

    def shared(self, texts: np.ndarray) -> int:
        """How many of these keys, of which none occurs twice, are among its own."""
        return int(np.isin(texts, self.texts, assume_unique=True).sum())

    def __or__(self, other: Seen) -> Seen:
        return Seen(self.classes | other.classes, np.union1d(self.texts, other.texts))


@dataclass(frozen=True, eq=False)
class SeenTask:
    """What was seen of one task: to learn from, and to stop early on."""

    name: str
    data_fingerprint: str
    train: Seen
    valid: Seen


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """What a learner was trained on, task by task."""

    tasks: tuple[SeenTask, ...]


class _StoredSeen(BaseModel):
    classes: list[str]
    texts: str


class _StoredTask(BaseModel):
    name: str
    data_fingerprint: str
    train: _StoredSeen
    valid: _StoredSeen


class _Stored(BaseModel):
    """What the file says. Keys are hashes, eight bytes each, in base64: ten thousand texts take about 110 KB."""

    tasks: list[_StoredTask]


def content_keys(rows: Iterable[Example]) -> np.ndarray:
    """Keys (n,) of rows as `content_key` takes them for the same, ascending, each once."""
    keys = {content_key(row).encode("utf-8", "surrogatepass") for row in rows}
    hashes = b"".join(hashlib.sha256(key).digest()[:_BYTES] for key in keys)
    return np.unique(np.frombuffer(hashes, dtype=">u8"))


def record_of(train: Sequence[EpisodeSampler], valid: Sequence[EpisodeSampler]) -> TrainingRecord:
    """The record of a training on the episodes of these samplers."""
    found: dict[str, SeenTask] = {}
    for samplers, used in ((train, "train"), (valid, "valid")):
        for sampler in samplers:
            task = sampler.task
            seen = Seen(frozenset(label.name for label in sampler.labels), content_keys(sampler.rows()))
            old = found.get(task.name, SeenTask(task.name, task.data_fingerprint, _NOTHING, _NOTHING))
            parts = {"train": old.train, "valid": old.valid}
            parts[used] |= seen
            found[task.name] = SeenTask(task.name, old.data_fingerprint, **parts)
    return TrainingRecord(tuple(found.values()))


def joined(several: Iterable[TrainingRecord]) -> TrainingRecord:
    """One record of what several say."""
    return TrainingRecord(tuple(task for record in several for task in record.tasks))


_NOTHING = Seen(frozenset(), content_keys(()))


def attach(learner: Learner, record: TrainingRecord | None) -> None:
    """Let a learner carry its record; one that takes no attributes goes without."""
    with contextlib.suppress(AttributeError):
        object.__setattr__(learner, _ATTRIBUTE, record)


def write(folder: Path, record: TrainingRecord) -> None:
    """Write the record beside a trained learner.

    Raises:
        StorageError: the folder cannot be written.
    """
    content = {
        "tasks": [
            {
                "name": task.name,
                "data_fingerprint": task.data_fingerprint,
                "train": _stored(task.train),
                "valid": _stored(task.valid),
            }
            for task in record.tasks
        ]
    }
    write_atomically(folder / NAME, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read(folder: Path) -> TrainingRecord | None:
    """The record beside a trained learner; None where there is none.

    Raises:
        StorageError: it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    stored: _Stored = parsed(_Stored, read_object(path), path)
    return TrainingRecord(
        tuple(
            SeenTask(task.name, task.data_fingerprint, _read(task.train, path), _read(task.valid, path))
            for task in stored.tasks
        )
    )


def records(learner: Learner) -> tuple[list[TrainingRecord], bool]:
    """The records of a learner and of the trained models that it names, and whether any of them is missing."""
    found = list(_found(learner, _DEPTH))
    known = [record for record in found if record is not None]
    unrecorded = isinstance(learner, MetaLearner) and learner.trained and not found
    return known, unrecorded or None in found


def _found(value: Any, depth: int) -> Iterator[TrainingRecord | None]:
    """The records in a learner, a part or an argument; None for each trained folder without one."""
    if isinstance(value, TrainingRecord):
        yield value
    elif isinstance(value, str | Path):
        yield from _of_folder(str(value))
    elif isinstance(value, Spec):
        yield from _found([*value.params.values(), value.positional], depth)
    elif isinstance(value, Mapping):
        yield from _found(list(value.values()), depth)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _found(each, depth)
    elif depth and hasattr(value, "describe"):
        for name, each in getattr(value, "__dict__", {}).items():
            # What is private and no part is working state, texts for instance, and names no folder.
            if not name.startswith("_") or hasattr(each, "describe"):
                yield from _found(each, depth - 1)


def _of_folder(name: str) -> Iterator[TrainingRecord | None]:
    """The record in a folder that is named as it is, or after the kind of model: hf:FOLDER, hub:FOLDER."""
    for folder in dict.fromkeys((name, name.partition(":")[2])):
        # os.path takes any text, however long or odd, for a path that does not exist.
        if folder and os.path.isfile(os.path.join(folder, _LEARNER)):  # noqa: PTH113, PTH118
            yield read(Path(folder))


def _stored(seen: Seen) -> dict[str, Any]:
    keys = base64.b64encode(seen.texts.astype(">u8").tobytes()).decode("ascii")
    return {"classes": sorted(seen.classes), "texts": keys}


def _read(stored: _StoredSeen, path: Path) -> Seen:
    try:
        keys = np.frombuffer(base64.b64decode(stored.texts, validate=True), dtype=">u8")
    except (binascii.Error, ValueError) as error:
        raise StorageError(f"{path} is damaged: the keys of the texts cannot be read: {error}") from error
    return Seen(frozenset(stored.classes), np.unique(keys))
