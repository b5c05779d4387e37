"""Episodes over tensors: images, spectra, whatever has one shape; and how well an algorithm does on such tasks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from classic.functional.base import TensorTask
from classic.functional.calls import predict
from classic.training.data import TaskSource
from classic.training.scores import task_scores
from evals.stats.intervals import Interval, score_interval, t_interval
from fewshot.core.errors import FewshotError, UsageError
from fewshot.core.seeds import seed_of

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Algorithm, Params
    from classic.functional.executors import Executor

#: Tasks that are answered together.
_CHUNK = 50


@dataclass(frozen=True, eq=False)
class TensorEpisodes:
    """N-way K-shot episodes. Episode i is a function of the arguments and i alone, and costs no text and no object.

    Args:
        classes: class -> (rows, ...) tensor or array; rows of all classes have one shape. See `of` for rows and labels.
        way: classes per episode.
        shot: rows of support per class. query: other rows of each class, to be classified.
        seed: drawn anew with every value.

    Raises:
        UsageError: too few classes, a class with too few rows, rows of several shapes, NaN or infinity.
    """

    classes: Mapping[Any, Any]
    way: int = 5
    shot: int = 1
    query: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("way", "shot", "query"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is too small; 1 is the least")
        if len(self.classes) < self.way:
            raise UsageError(f"{self.way} classes per episode cannot be drawn from {len(self.classes)}")
        tensors = _tensors(self.classes)
        for name, rows in tensors.items():
            if len(rows) < self.shot + self.query:
                raise UsageError(
                    f"class {name!r} has {len(rows)} rows, and an episode takes {self.shot + self.query} of a class "
                    f"({self.shot} shown, {self.query} asked); leave the class out, or ask for fewer"
                )
        object.__setattr__(self, "classes", tensors)

    @classmethod
    def of(cls, x: Any, y: Any, **shape: int) -> TensorEpisodes:
        """The episodes of rows (n, ...) with labels (n,); classes are in the order of their first row."""
        import torch

        rows, labels = torch.as_tensor(x), np.asarray(y)
        if labels.ndim != 1 or len(labels) != len(rows):
            raise UsageError(f"a label per row is needed, and there are labels {labels.shape} for {len(rows)} rows")
        names: list[Hashable] = list(dict.fromkeys(labels.tolist()))
        return cls({name: rows[torch.from_numpy(labels == name)] for name in names}, **shape)

    def batch(self, start: int, stop: int) -> TensorTask:
        """Episodes start, ..., stop - 1, stacked; on the device of the rows."""
        import torch

        drawn = torch.from_numpy(np.stack([self._draw(at) for at in range(start, stop)])).to(self._rows.device)
        support, query = drawn[:, : self.shot].flatten(1), drawn[:, self.shot :].flatten(1)
        numbers = torch.arange(self.way, device=drawn.device)

        def y(per_class: int) -> Tensor:
            return numbers.repeat(per_class).expand(len(drawn), -1)

        ones = torch.ones(len(drawn), self.way * max(self.shot, self.query), device=drawn.device)
        return TensorTask(
            support_x=self._rows[support],
            support_y=y(self.shot),
            support_mask=ones[:, : self.way * self.shot],
            query_x=self._rows[query],
            query_y=y(self.query),
            query_mask=ones[:, : self.way * self.query],
            class_mask=ones[:, : self.way],
        )

    def _draw(self, index: int) -> np.ndarray:
        """(shot + query, way) positions of rows, each column of one class; no other episode has to be drawn first."""
        key = seed_of("tensor episodes", self.seed, self.way, self.shot, self.query) % 2**64
        random = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, index]))
        chosen = random.permutation(len(self._sizes))[: self.way]
        taken = self.shot + self.query
        return np.stack([self._starts[at] + random.permutation(self._sizes[at])[:taken] for at in chosen], axis=1)

    @cached_property
    def _rows(self) -> Tensor:
        import torch

        return torch.cat(list(self.classes.values()))

    @cached_property
    def _sizes(self) -> list[int]:
        return [len(rows) for rows in self.classes.values()]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *self._sizes[:-1]])


def evaluate(
    algorithm: Algorithm,
    params: Params,
    tasks: TaskSource,
    n_tasks: int = 600,
    executor: str | Executor = "auto",
) -> Interval:
    """Accuracy over tasks, or the mean loss of regression, with a 95 % interval over tasks.

    Args:
        tasks: of classes that training did not see, for a figure about new classes.

    Raises:
        FewshotError: a regression whose outputs are not finite. Of a classification, such a task counts as wrong.
    """
    import torch

    scored = []
    for start in range(0, n_tasks, _CHUNK):
        batch = tasks.batch(start, min(start + _CHUNK, n_tasks))
        losses, accuracies = task_scores(predict(algorithm, params, batch, executor), batch)
        scored.append((losses, accuracies))
    if scored[0][1] is not None:
        return score_interval(torch.cat([each for _, each in scored]).double().clamp(0, 1).tolist())
    losses = torch.cat([each for each, _ in scored]).double()
    if not losses.isfinite().all():
        failed = int((~losses.isfinite()).sum())
        raise FewshotError(
            f"{failed} of {n_tasks} tasks diverged: their outputs are not finite; use smaller inner steps"
        )
    return t_interval(losses.tolist())


def _tensors(classes: Mapping[Any, Any]) -> dict[Any, Tensor]:
    """Rows of one shape and dtype, all finite."""
    import torch

    found = {name: torch.as_tensor(rows) for name, rows in classes.items()}
    first = next(iter(found))
    for name, rows in found.items():
        if rows.ndim < 1 or rows.shape[1:] != found[first].shape[1:] or rows.dtype != found[first].dtype:
            raise UsageError(
                f"rows of one shape and type are needed, and class {first!r} has {tuple(found[first].shape[1:])} "
                f"{found[first].dtype}, class {name!r} {tuple(rows.shape[1:])} {rows.dtype}"
            )
        if rows.is_floating_point() and not rows.isfinite().all():
            raise UsageError(f"class {name!r} has values that are not finite (NaN or infinite)")
    return found
