"""Episodes as tensors. Every text becomes a row once; an episode is index arrays into those rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from classic.functional.base import TensorTask
from classic.training.inputs import Inputs
from evals.content import Content, content
from evals.label_names import Names, named_examples
from evals.metatrain import Episodes
from evals.types import Label, Problem
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from evals.episode import Episode, Rows


class TaskSource(Protocol):
    """Where training tasks come from. Task i is a function of i alone, so a position is all that a resume needs."""

    def batch(self, start: int, stop: int) -> TensorTask:
        """Tasks start, ..., stop - 1, stacked: every field has the leading dimension stop - start."""
        ...


class TextTable:
    """Every text once, as a row on the device; rows are computed when a text is first seen.

    Args:
        inputs: how a text becomes a row.
        device: a torch device name.
    """

    def __init__(self, inputs: Inputs, device: str = "cpu") -> None:
        self.inputs = inputs
        self.device = device
        self._index: dict[Content, int] = {}
        self._rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self._index)

    @property
    def width(self) -> int:
        """Columns of a row. Some text must have been seen."""
        assert self._rows is not None
        return int(self._rows.shape[-1])

    def indices(self, texts: Sequence[Content]) -> np.ndarray:
        """(len(texts),) int64 positions of the texts; unseen ones are computed together."""
        if unseen := [text for text in texts if text not in self._index]:
            fresh = list(dict.fromkeys(unseen))
            self._append(self.inputs.rows(fresh))
            self._index.update({text: len(self._index) + at for at, text in enumerate(fresh)})
        return np.fromiter((self._index[text] for text in texts), np.int64, len(texts))

    def gather(self, indices: np.ndarray) -> Tensor:
        """The rows (*indices.shape, width), without columns in which every token is padding."""
        import torch

        assert self._rows is not None
        rows = self._rows[torch.from_numpy(indices).to(self.device)]
        if self.inputs.pad is None:
            return rows
        used = (rows != self.inputs.pad).flatten(end_dim=-2).any(dim=0).nonzero()
        return rows[..., : int(used.max()) + 1 if len(used) else 1]

    def _append(self, rows: Tensor) -> None:
        """Grow by doubling, so that seeing texts one by one copies each only a few times."""
        held = len(self._index)
        needed = held + len(rows)
        if self._rows is not None and rows.shape[1:] != self._rows.shape[1:]:
            raise UsageError("texts and pairs of texts, or texts of two encoders, cannot be learned from together")
        if self._rows is None or len(self._rows) < needed:
            grown = rows.new_zeros((max(needed, 2 * held), *rows.shape[1:]), device=self.device)
            if self._rows is not None:
                grown[:held] = self._rows[:held]
            self._rows = grown
        self._rows[held:needed] = rows.to(self.device)


@dataclass(frozen=True)
class IndexedTask:
    """One episode as positions in a table: (n_support,) and (n_query,) int64, and the number of classes."""

    support: np.ndarray
    support_y: np.ndarray
    query: np.ndarray
    query_y: np.ndarray
    way: int


def index_problem(problem: Problem, table: TextTable) -> IndexedTask:
    """A problem to be answered; its queries count as class 0."""
    numbers = _numbered(problem.labels)
    queries = table.indices([content(query) for query in problem.queries])
    support = table.indices([content(example) for example in problem.support])
    support_y = np.array([numbers[str(example.label)] for example in problem.support], np.int64)
    return IndexedTask(support, support_y, queries, np.zeros(len(queries), np.int64), len(numbers))


def index_rows(
    episodes: Sequence[Rows], table: TextTable, numbers: Mapping[str, int] | None = None, names: Names = "none"
) -> list[IndexedTask]:
    """Episodes to be trained on. Their texts that the table has not seen are computed together.

    Args:
        numbers: label name -> class number; None numbers the classes in the order of each episode.
        names: which words of a label count as one more text of its class.

    Raises:
        UsageError: a text is both in the support and in the queries.
    """
    named = [named_examples(each.labels, each.task, names) for each in episodes]
    rows = [(*first, *each.support, *each.queries) for first, each in zip(named, episodes, strict=True)]
    positions = table.indices([content(row) for each in rows for row in each])
    tasks, start = [], 0
    for first, episode, each in zip(named, episodes, rows, strict=True):
        known = numbers or _numbered(episode.labels)
        at, start = positions[start : start + len(each)], start + len(each)
        y = np.array([known[str(row.label)] for row in each], np.int64)
        asked = len(each) - len(episode.queries)
        _refuse_shared(episode, at[len(first) : asked].tolist(), at[asked:].tolist())
        tasks.append(IndexedTask(at[:asked], y[:asked], at[asked:], y[asked:], len(known)))
    return tasks


def _refuse_shared(episode: Rows, shown: list[int], asked: list[int]) -> None:
    """No text is both shown and asked; but a query may well be written like the name of its class."""
    if shared := set(shown).intersection(asked):
        text = next(row.text for row, at in zip(episode.queries, asked, strict=True) if at in shared)
        raise UsageError(f"a training episode of {episode.task.name} both shows and asks the text {text[:60]!r}")


def _numbered(labels: Sequence[Label]) -> dict[str, int]:
    return {label.name: at for at, label in enumerate(labels)}


def stack(tasks: Sequence[IndexedTask], table: TextTable) -> TensorTask:
    """Tasks of any shapes as one batch, padded to the largest with masks of 0."""
    import torch

    def padded(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, Tensor]:
        width = max(map(len, arrays))
        filled = np.zeros((len(arrays), width), np.int64)
        mask = np.zeros((len(arrays), width), np.float32)
        for at, array in enumerate(arrays):
            filled[at, : len(array)] = array
            mask[at, : len(array)] = 1
        return filled, torch.from_numpy(mask).to(table.device)

    def numbers(arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(padded(arrays)[0]).to(table.device)

    support, support_mask = padded([task.support for task in tasks])
    query, query_mask = padded([task.query for task in tasks])
    _, class_mask = padded([np.zeros(task.way) for task in tasks])
    return TensorTask(
        support_x=table.gather(support),
        support_y=numbers([task.support_y for task in tasks]),
        support_mask=support_mask,
        query_x=table.gather(query),
        query_y=numbers([task.query_y for task in tasks]),
        query_mask=query_mask,
        class_mask=class_mask,
    )


class EpisodeTasks:
    """Episodes as a task source. After the last episode the first comes again; each is drawn and indexed once.

    Episodes of samplers are drawn as rows alone: training reads neither problems nor their hashes.

    Args:
        episodes: of classes to train on (or to stop early on).
        table: where their texts are rows.
        numbers: label name -> class number, for models with one output per base class; None: by episode.
        names: which words of a label count as one more text of its class.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        table: TextTable,
        numbers: Mapping[str, int] | None = None,
        names: Names = "none",
    ) -> None:
        self.episodes = episodes
        self.table = table
        self.numbers = numbers
        self.names: Names = names
        self._known: dict[int, IndexedTask] = {}

    def batch(self, start: int, stop: int) -> TensorTask:
        """Tasks start, ..., stop - 1."""
        wanted = [at % len(self.episodes) for at in range(start, stop)]
        unknown = [at for at in dict.fromkeys(wanted) if at not in self._known]
        drawn = index_rows([self._rows(at) for at in unknown], self.table, self.numbers, self.names)
        self._known.update(zip(unknown, drawn, strict=True))
        return stack([self._known[at] for at in wanted], self.table)

    def _rows(self, at: int) -> Rows:
        return self.episodes.draw(at) if isinstance(self.episodes, Episodes) else self.episodes[at].rows
