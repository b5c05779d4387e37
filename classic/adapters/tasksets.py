"""Tasksets of learn2learn, and anything like them, as a source of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from classic.functional.base import TensorTask
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


class Sampled(Protocol):
    """Gives a new task with every call."""

    def sample(self) -> tuple[Any, Any]:
        """(rows, ...) data and (rows,) labels."""
        ...


@dataclass
class TasksetTasks:
    """Tasks of (data, labels), split into support and queries as in learn2learn's examples.

    Within every class rows take turns: support, query, support, query, until there are `shot` rows of support; what
    is left are queries. For a class of 2 * shot rows that is the split by even and odd rows.

    A taskset draws at random, so task i is whatever comes next: a training on it cannot be repeated bit by bit. An
    iterable that ends begins again.

    Args:
        taskset: has `sample()`, or is an iterable of pairs (data, labels).
        shot: rows of support per class.
    """

    taskset: Sampled | Iterable[tuple[Any, Any]]
    shot: int
    _rest: Iterator[tuple[Any, Any]] | None = field(default=None, init=False, repr=False)
    _drawn: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.shot < 1:
            raise UsageError(f"shot {self.shot} is too small; at least one row of support per class is needed")
        if not hasattr(self.taskset, "sample") and not isinstance(self.taskset, Iterable):
            raise UsageError(f"{type(self.taskset).__name__} is no taskset: it has no sample() and is no iterable")

    def batch(self, start: int, stop: int) -> TensorTask:
        """The next stop - start tasks, stacked.

        Raises:
            UsageError: a task has too few rows, values that are not finite, or another shape than the one before.
        """
        import torch

        tasks = [self._task() for _ in range(stop - start)]
        for task in tasks:
            shapes = [tuple(map(tuple, (one.support_x.shape, one.query_x.shape))) for one in (tasks[0], task)]
            if shapes[0] != shapes[1]:
                raise UsageError(
                    f"two tasks of the taskset differ in shape, {shapes[0]} and {shapes[1]} of support and queries: "
                    "they cannot be stacked. Draw tasks of the same way and rows, or one at a time"
                )
        return TensorTask(*(torch.stack(fields) for fields in zip(*tasks, strict=True)))

    def _task(self) -> TensorTask:
        import torch

        self._drawn += 1
        data, labels = (torch.as_tensor(each) for each in self._next())
        this = f"task {self._drawn} of the taskset"
        if len(data) != len(labels):
            raise UsageError(f"{this} has {len(data)} rows of data and {len(labels)} labels")
        if data.is_floating_point() and not data.isfinite().all():
            raise UsageError(f"{this} has values that are not finite (NaN or infinite)")
        classes, y = labels.to(data.device).unique(return_inverse=True)
        support, queries = self._split(y, classes, this)
        return TensorTask.of(data[support], y[support], data[queries], y[queries], len(classes))

    def _split(self, y: Tensor, classes: Tensor, this: str) -> tuple[Tensor, Tensor]:
        """Positions of support and queries, in the order of the rows."""
        import torch

        chosen = torch.zeros_like(y, dtype=torch.bool)
        for number, label in enumerate(classes.tolist()):
            rows = (y == number).nonzero()[:, 0]
            if len(rows) < 2 * self.shot:
                raise UsageError(
                    f"{this} has {len(rows)} rows of class {label}; {self.shot} for support and as many queries need "
                    f"{2 * self.shot} (learn2learn: KShots(dataset, k={2 * self.shot}))"
                )
            chosen[rows[: 2 * self.shot : 2]] = True
        if not len(classes):
            raise UsageError(f"{this} has no rows")
        return chosen.nonzero()[:, 0], (~chosen).nonzero()[:, 0]

    def _next(self) -> tuple[Any, Any]:
        if not isinstance(self.taskset, Iterable) or hasattr(self.taskset, "sample"):
            return self.taskset.sample()  # pyright: ignore[reportAttributeAccessIssue]
        for _ in range(2):
            self._rest = iter(self.taskset) if self._rest is None else self._rest
            if (task := next(self._rest, None)) is not None:
                return task
            self._rest = None
        raise UsageError(
            f"the taskset ended after {self._drawn - 1} tasks and cannot begin again; give a list, or an object with "
            "sample()"
        )
