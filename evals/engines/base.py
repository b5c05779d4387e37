"""What an engine is, and how a learner travels to where it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from evals.learner import Learner, MetaLearner, for_task
from evals.types import Label, TaskInfo
from fewshot.core.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """How a worker makes a learner: by building it, and by loading what was learned in meta-training.

    Attributes:
        files: the folder of the trained learner, by file name; a worker on another machine cannot read the folder.
        task: for which the learner is settled, with its labels; None leaves that to the problems.
    """

    build: Callable[[], Learner]
    files: Mapping[str, bytes] = field(default_factory=dict)
    task: tuple[TaskInfo, tuple[Label, ...]] | None = None

    @classmethod
    def of(cls, build: Callable[[], Learner], trained: Path | None = None) -> Recipe:
        """The recipe of a learner, with the files in the folder where it was saved."""
        files = trained.iterdir() if trained else ()
        return cls(build, {file.name: file.read_bytes() for file in files if file.is_file()})

    def for_task(self, task: TaskInfo, labels: Sequence[Label]) -> Recipe:
        """The recipe of the learner as it is for a task."""
        return replace(self, task=(task, tuple(labels)))

    def make(self) -> Learner:
        """Build the learner; load what it has learned; settle it for the task.

        Raises:
            UsageError: there are files of a trained learner, and this one is not meta-trained.
        """
        learner = self._trained()
        return learner if self.task is None else for_task(learner, *self.task)

    def _trained(self) -> Learner:
        learner = self.build()
        if not self.files:
            return learner
        if not isinstance(learner, MetaLearner):
            raise UsageError(f"learner {learner.name!r} is not meta-trained, and cannot be loaded from a folder")
        with TemporaryDirectory() as folder:
            for name, content in self.files.items():
                (Path(folder) / name).write_bytes(content)
            learner.load(Path(folder))
        return learner


class Engine(Protocol):
    """Lets a learner answer somewhere."""

    def spread(self, learner: Learner, recipe: Recipe) -> Learner:
        """A learner that answers like `learner`, by way of this engine."""
        ...
