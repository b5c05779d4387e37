"""What an engine is, and how a learner travels to where it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from evals.learner import Learner, MetaLearner
from fewshot.core.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """How a worker makes a learner: by building it, and by loading what was learned in meta-training.

    Attributes:
        files: the folder of the trained learner, by file name; a worker on another machine cannot read the folder.
    """

    build: Callable[[], Learner]
    files: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, build: Callable[[], Learner], trained: Path | None = None) -> Recipe:
        """The recipe of a learner, with the files in the folder where it was saved."""
        files = trained.iterdir() if trained else ()
        return cls(build, {file.name: file.read_bytes() for file in files if file.is_file()})

    def make(self) -> Learner:
        """Build the learner; load what it has learned.

        Raises:
            UsageError: there are files of a trained learner, and this one is not meta-trained.
        """
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
