"""Where training episodes come from: the training classes of a task, or other tasks without the tested task's texts."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from evals.content import content_key, whole_text
from evals.episode import Episode, EpisodeSampler, Rows, with_queries
from evals.kinds import kind_named
from evals.learner import Background, Context, Learner, MetaLearner, for_task
from evals.task import Task
from evals.training_record import attach, joined, read, record_of, records, write
from evals.types import Example
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.locks import FolderLock
from fewshot.core.paths import write_atomically
from fewshot.core.seeds import seed_of

#: Distinct training episodes; a longer training sees the first ones again.
N_EPISODES = 10_000
#: Where a task has neither class splits nor valid rows, one text in this many of a class is kept for early stopping.
_HELD_OUT = 10
#: Query texts that a class must have to be trained on, where nothing else is said.
_FEWEST = 10
#: Folder inside that of a run, where the learner that was trained for it is kept.
LEARNER_FOLDER = "learner"
#: File in the folder of a trained learner that says what it is; written last.
_LEARNER = "learner.json"
#: File in the folder of a trained learner: what the training took, apart from what it came to.
_COST = "cost.json"


class Episodes(Sequence[Episode]):
    """Episodes of one or several samplers, in turn. Episode i is a function of i alone.

    Args:
        samplers: where they are drawn. n_episodes: how many there are.
    """

    def __init__(self, samplers: Sequence[EpisodeSampler], n_episodes: int = N_EPISODES) -> None:
        self.samplers = tuple(samplers)
        self.n_episodes = n_episodes

    def __len__(self) -> int:
        return self.n_episodes

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | Sequence[Episode]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self.n_episodes))]
        sampler, at = self._place(index)
        return sampler[at]

    def draw(self, index: int) -> Rows:
        """Episode `index` as rows alone."""
        sampler, at = self._place(index)
        return sampler.draw(at)

    def _place(self, index: int) -> tuple[EpisodeSampler, int]:
        """The sampler whose turn it is, and which of its episodes it gives."""
        if not 0 <= index < self.n_episodes:
            raise IndexError(f"episodes are numbered from 0 to {self.n_episodes - 1}")
        at, turn = divmod(index, len(self.samplers))
        return self.samplers[turn], at


@dataclass(frozen=True)
class TrainingData:
    """What a meta-learner is trained on.

    Attributes:
        train: episodes to learn from.
        valid: episodes of other classes (or other texts), to stop early on.
        background: all texts of the training classes, for encoders that learn from texts.
        notes: what was left out, and why.
    """

    train: Episodes
    valid: Episodes
    background: Background
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """Way, shot and query texts per class of training episodes, and the seed that draws them.

    Without a number of query texts they are 15, or as many as every class has.
    """

    way: int
    shot: int
    query: int | None = None
    seed: int = 0

    @property
    def least(self) -> int:
        """Texts that a class must have to take part."""
        return self.shot + (_FEWEST if self.query is None else self.query)


def training_data(
    train: Shape,
    valid: Shape,
    *,
    tested: Task | None = None,
    class_split: str | None = None,
    sources: Sequence[Task] = (),
) -> TrainingData:
    """Episodes for meta-training.

    Args:
        train, valid: shapes; a way above the number of classes is lowered to it.
        tested: the task that will be tested.
        class_split: its class split, whose training and validation classes are used where there are no sources.
        sources: other tasks to be trained on. Their texts that occur in `tested` are dropped, and counted.

    Raises:
        UsageError: no sources, and no class split.
        TaskError: a class has too few texts, or the sources are hardly more than the texts of `tested`.
    """
    if sources:
        return _across_tasks(train, valid, tested, sources)
    if tested is None or class_split is None:
        name = f"task {tested.name!r}" if tested else "the task"
        raise UsageError(
            f"{name} has no training classes that are apart from those it is tested on. Name tasks to be trained on "
            "with train=TASK+TASK (--train on the command line), or use a task with class splits"
        )
    samplers = [_sampler(tested, class_split, part, shape) for part, shape in (("train", train), ("valid", valid))]
    source = f"{tested.name}, training classes of class split {class_split}"
    return TrainingData(Episodes(samplers[:1]), Episodes(samplers[1:]), Background(_texts(tested, class_split), source))


def ensure_trained(
    learner: Learner, sampler: EpisodeSampler, ctx: Context, load: Callable[[str], Task], folder: Path | None = None
) -> Learner:
    """The learner as it is for the task of a sampler, meta-trained for its episodes where it has to be and is not yet.

    The learner may carry wishes as attributes: `train` (tasks joined by +), `train_way`, `train_shot`, `train_query`
    and `seed`.

    Args:
        load: gives a task by name.
        folder: where the trained learner is kept; one that is there already is loaded, an unfinished one continued.

    Raises:
        UsageError: there is nothing to be trained on.
    """
    learner = for_task(learner, sampler.task.info, sampler.task.labels)
    if not isinstance(learner, MetaLearner) or learner.trained:
        return learner
    if folder is not None and (folder / _LEARNER).is_file():
        learner.load(folder)
        attach(learner, read(folder))
        return learner
    names: str | None = getattr(learner, "train", None)
    sources = [load(name) for name in names.split("+")] if names else []
    train, valid = shapes(learner, sampler.way, sampler.shot)
    data = training_data(train, valid, tested=sampler.task, class_split=sampler.class_split, sources=sources)
    with _owned(folder), _timed(folder):
        _train(learner, data, ctx, folder)
    return learner


def trained_seconds(folder: Path) -> float:
    """Wall-clock seconds that the training kept in a folder has taken so far, interruptions left out; 0 for none."""
    path = folder / _COST
    return float(json.loads(path.read_text(encoding="utf-8"))["seconds"]) if path.is_file() else 0.0


@contextmanager
def _timed(folder: Path | None) -> Iterator[None]:
    """Add what the training takes to what it took before it was interrupted."""
    started = time.perf_counter()
    try:
        yield
    finally:
        if folder is not None and folder.is_dir():
            seconds = trained_seconds(folder) + time.perf_counter() - started
            write_atomically(folder / _COST, json.dumps({"seconds": seconds}) + "\n")


def meta_train(learner: MetaLearner, data: TrainingData, ctx: Context, folder: Path | None = None) -> None:
    """Train a learner, and save it where there is a folder.

    Raises:
        UsageError: another process trains in this folder, or has just done so.
    """
    with _owned(folder):
        _train(learner, data, ctx, folder)


def _is_first() -> bool:
    """Whether this is the first (or only) one of the processes that train together."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _owned(folder: Path | None) -> Iterator[None]:
    """The folder of a training, for this process alone (or for the first of those that train together)."""
    if folder is None or not _is_first():
        yield
        return
    advice = "wait until it ends, or choose another folder"
    with FolderLock(folder, "training.lock", doing="trained in", advice=advice):
        if (folder / _LEARNER).is_file():
            raise UsageError(f"{folder} holds a trained learner by now; use it, or choose another folder")
        yield


def _train(learner: MetaLearner, data: TrainingData, ctx: Context, folder: Path | None) -> None:
    for note in data.notes:
        ctx.notify(note)
    learner.prepare(data.background, ctx)
    earlier, _ = records(learner)  # a model may have been trained before
    learner.meta_fit(data.train, data.valid, ctx, folder)
    record = joined([*earlier, record_of(data.train.samplers, data.valid.samplers)])
    attach(learner, record)
    if folder is not None:
        if _is_first():
            write(folder, record)  # before the learner, which is never there without it
        learner.save(folder)


def shapes(learner: Learner, way: int, shot: int) -> tuple[Shape, Shape]:
    """Shapes of training and validation episodes: those of the test, but for what the learner wishes."""
    wishes: dict[str, Any] = {name: getattr(learner, f"train_{name}", None) for name in ("way", "shot", "query")}
    seed = getattr(learner, "seed", 0)
    query = wishes["query"]
    return Shape(wishes["way"] or way, wishes["shot"] or shot, query, seed), Shape(way, shot, query, seed)


def without_texts(task: Task, other: Task) -> tuple[Task, int]:
    """The task without the texts that occur in another one, and how many those were."""
    taken = set(map(content_key, other.visible_rows()))
    kept = {
        part: tuple(row for row in rows if content_key(task.visible(row)) not in taken)
        for part, rows in task.rows.items()
    }
    dropped = sum(map(len, task.rows.values())) - sum(map(len, kept.values()))
    return replace(task, rows=kept), dropped


def _without_small_classes(task: Task, needed: int) -> tuple[Task, int]:
    """The task without the classes that have fewer texts than an episode needs, and how many those were.

    Where rows are split, no part may have fewer; where classes are, all rows count.
    """
    kind = kind_named(task.info.kind)
    pools = [task.rows[part] for part in ("train", "valid") if part in task.rows]
    if task.class_splits or not pools:
        pools = [tuple(row for rows in task.rows.values() for row in rows)]
    counts = [
        Counter(name for row in rows if row.label is not None for name in kind.names(row.label)) for rows in pools
    ]
    small = {label.name for label in task.labels if min(count[label.name] for count in counts) < needed}
    return replace(task, labels=tuple(label for label in task.labels if label.name not in small)), len(small)


def _across_tasks(train: Shape, valid: Shape, tested: Task | None, sources: Sequence[Task]) -> TrainingData:
    trains, valids, texts, notes = [], [], [], []
    for source in sources:
        task, dropped = without_texts(source, tested) if tested is not None else (source, 0)
        if tested is not None:
            notes.append(f"{source.name}: {dropped} training texts occur in {tested.name} and are left out")
        if tested is not None and dropped:
            task, emptied = _without_small_classes(task, max(train.least, valid.least))
            if len(task.labels) < min(2, len(source.labels)):
                raise TaskError(
                    f"{source.name} has too few texts to train on without the {dropped} that occur in {tested.name}; "
                    "name other tasks to be trained on"
                )
            if emptied:
                notes.append(f"{source.name}: {emptied} classes have too few texts without them and are left out")
        class_split = task.default_class_split()
        if class_split is None and "valid" not in task.rows:
            task = _with_held_out(task, valid)
        trains.append(_sampler(task, class_split, "train", train))
        valids.append(_sampler(task, class_split, "valid", valid))
        texts += _texts(task, class_split)
    background = Background(tuple(dict.fromkeys(texts)), " + ".join(source.name for source in sources))
    return TrainingData(Episodes(trains), Episodes(valids), background, tuple(notes))


def _with_held_out(task: Task, valid: Shape) -> Task:
    """The task's training rows, a tenth of every class (or what a validation episode needs) as valid rows.

    Which ones depends on the texts alone.
    """
    kind = kind_named(task.info.kind)
    rows = task.rows.get("train") or next(iter(task.rows.values()))
    classes: dict[tuple[str, ...], list[Example]] = {}
    for row in sorted(rows, key=lambda row: seed_of(content_key(task.visible(row)), "held out")):
        classes.setdefault(kind.names(row.label)[:1] if row.label is not None else (), []).append(row)
    held_out = {
        row.id for members in classes.values() for row in members[: max(len(members) // _HELD_OUT, valid.least)]
    }
    split = {
        "train": tuple(row for row in rows if row.id not in held_out),
        "valid": tuple(row for row in rows if row.id in held_out),
    }
    return replace(task, rows=split)


def _sampler(task: Task, class_split: str | None, part: str, shape: Shape) -> EpisodeSampler:
    way = min(shape.way, len(task.labels_in(class_split, part)))
    if class_split is None and part == "valid":
        # Support and queries from the held-out rows alone: validation must not show what training has seen.
        task = replace(task, rows={"all": task.rows["valid"]})
    return with_queries(
        lambda query: EpisodeSampler(task, way, shape.shot, query, shape.seed, class_split, part), shape.query
    )


def _texts(task: Task, class_split: str | None) -> tuple[str, ...]:
    """The texts of the training classes, or of the training rows."""
    kind = kind_named(task.info.kind)
    names = {label.name for label in task.labels_in(class_split, "train")}
    rows = task.pools(class_split, "train").support.rows
    trained = (row for row in rows if row.label is not None and names.issuperset(kind.names(row.label)))
    return tuple(whole_text(task.visible(row)) for row in trained)
