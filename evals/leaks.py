"""No learner is tested on what it was trained on: neither on its classes, nor on its texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evals.episode import EpisodeSampler
from evals.learner import Learner
from evals.task import Task
from evals.training_record import Seen, SeenTask, content_keys, records
from fewshot.core.errors import UsageError

#: Names that a message lists.
_LISTED = 3


@dataclass(frozen=True)
class _Tested:
    """The part of a task that a learner is tested on; without a sampler, all of it."""

    task: Task
    sampler: EpisodeSampler | None = None

    @property
    def class_split(self) -> str | None:
        return self.sampler.class_split if self.sampler else None

    @property
    def part(self) -> str:
        return self.sampler.part if self.sampler else "test"

    @cached_property
    def classes(self) -> frozenset[str]:
        return frozenset(label.name for label in (self.sampler or self.task).labels)

    @cached_property
    def texts(self) -> np.ndarray:
        return content_keys(self.sampler.rows() if self.sampler else self.task.visible_rows())

    def is_of(self, seen: SeenTask) -> bool:
        """Whether a task that was trained on is this one, by its name or by its data."""
        return seen.name == self.task.name or seen.data_fingerprint == self.task.data_fingerprint

    def against(self, seen: SeenTask) -> Seen:
        """What must not be tested. Validation classes may be, by who asks for them: `--part valid`."""
        asked_for = self.class_split is not None and self.part == "valid" and self.is_of(seen)
        return seen.train if asked_for else seen.train | seen.valid


def refuse_leaks(learners: Iterable[Learner], test: EpisodeSampler | Task) -> list[str]:
    """Refuse learners that were trained on what they would be tested on, whoever trained them.

    Within one task, classes decide; a class of the same name in another task is another class. Texts decide
    everywhere. Whoever tests on `part="train"` asks for the training score: that is told, not refused.

    Args:
        test: episodes, or a task of which any text may be asked.

    Returns:
        what is to be told: of learners that cannot be checked, and of tests that are no tests of something new.

    Raises:
        UsageError: shared classes or texts; the message counts them.
        StorageError: the record of a training is damaged.
    """
    tested = _Tested(test) if isinstance(test, Task) else _Tested(test.task, test)
    notes: list[str] = []
    for learner in learners:
        known, missing = records(learner)
        if missing:
            notes.append(
                f"{learner.name}: it cannot be checked whether it was trained on what it is tested on, since no record "
                "of its training was kept; train it anew for one"
            )
        for seen in (seen for record in known for seen in record.tasks):
            if (leak := _leak(learner.name, seen, tested)) is None:
                notes += _notes(learner.name, seen, tested)
            elif tested.part == "train":
                notes.append(f"{leak.what}; this is a training score")
            else:
                raise UsageError(f"{leak.what}; {leak.way_out}")
    return list(dict.fromkeys(notes))


@dataclass(frozen=True)
class _Leak:
    """What was seen that is tested, and what can be done."""

    what: str
    way_out: str


def _leak(name: str, seen: SeenTask, tested: _Tested) -> _Leak | None:
    task, barred = tested.task, tested.against(seen)
    if tested.is_of(seen) and (classes := tested.classes & barred.classes):
        what = f"{len(classes)} of the {len(tested.classes)} classes of {task.name} ({_some(classes)})"
        return _Leak(f"{name} was trained or validated on {what} that it is tested on", _other_classes(seen, tested))
    if tested.class_split is not None and seen.data_fingerprint == task.data_fingerprint:
        # Classes keep the texts of one data set apart, but for texts that carry classes of both parts.
        return None
    if texts := barred.shared(tested.texts):
        what = f"{texts:,} of the {len(tested.texts):,} texts of {task.name}"
        return _Leak(
            f"{name} was trained or validated on {what} that it is tested on: they are in {seen.name} too",
            f"train it anew with --train {seen.name} --test {task.name}, which leaves them out, or test it on a task "
            "that shares no texts",
        )
    return None


def _other_classes(seen: SeenTask, tested: _Tested) -> str:
    task, part = tested.task, tested.part
    trained = seen.train.classes | seen.valid.classes
    free = [split for split in task.class_splits if trained.isdisjoint(task.class_splits[split].get(part, trained))]
    if free:
        return f"test it on classes that it has not seen (--class-split {min(free)}), or train it anew for these"
    if tested.class_split is not None:
        return f"train it anew on the training classes of class split {tested.class_split}"
    return f"test it on another task, or train it anew with --train TASK+TASK --test {task.name}"


def _notes(name: str, seen: SeenTask, tested: _Tested) -> list[str]:
    """That validation classes are tested."""
    if tested.is_of(seen) and tested.classes & seen.valid.classes:
        return [f"{name}: its training was stopped by these validation classes, which makes the score too high"]
    return []


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:_LISTED]) + (", ..." if len(ordered) > _LISTED else "")
