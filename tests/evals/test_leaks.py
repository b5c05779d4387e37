"""No learner is tested on what it was trained on, whoever wrote it, wherever it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.comparison import compare
from evals.episode import Episode, EpisodeSampler
from evals.leaks import refuse_leaks
from evals.learner import BaseLearner, Context, Learner
from evals.metatrain import Shape, meta_train, training_data
from evals.predictor import Predictor
from evals.runner import run
from evals.task import Task
from evals.training_record import NAME
from evals.types import Answer, Example, Label, Problem, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import StorageError, UsageError

SHAPE = Shape(3, 1, 1)
CLASSES = [f"c{at}" for at in range(9)]
SPLITS = {
    "01": {"train": CLASSES[:3], "valid": CLASSES[3:6], "test": CLASSES[6:]},
    "02": {"train": CLASSES[6:], "valid": CLASSES[3:6], "test": CLASSES[:3]},
    "03": {"train": CLASSES[1:4], "valid": CLASSES[4:6], "test": CLASSES[6:]},
}


class Meta(BaseLearner):
    """Learns nothing from its training."""

    name = "meta"

    def __init__(self, from_: str | None = None) -> None:
        self.from_ = from_
        self._fitted = False

    @property
    def trained(self) -> bool:
        return self._fitted or self.from_ is not None

    def meta_fit(
        self, train: Sequence[Episode], valid: Sequence[Episode], ctx: Context, folder: Path | None = None
    ) -> None:
        self._fitted = True

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "learner.json").write_text(json.dumps({"learner": self.name}))

    def load(self, folder: Path) -> None:
        self._fitted = True

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        return [Answer(problem.labels[0].name) for _ in problem.queries]


class Around(BaseLearner):
    """Asks another learner."""

    name = "around"

    def __init__(self, inner: Learner) -> None:
        self._inner = inner


class Naming(BaseLearner):
    """Names a model."""

    name = "naming"

    def __init__(self, model: Any) -> None:
        self.model = model

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        return [Answer(problem.labels[0].name) for _ in problem.queries]


def task(name: str = "one", *, split: bool = True, text: str = "{label} says {at}", classes: str = "c") -> Task:
    names = [label.replace("c", classes) for label in CLASSES]
    rows = tuple(Example(f"{c}-{at}", text.format(label=c, at=at), c) for c in names for at in range(8))
    labels = tuple(Label(name, name) for name in names)
    return Task(TaskInfo(name, "en", "classification"), labels, {"all": rows}, SPLITS if split else {})


def trained(folder: Path | None = None, *, source: Task | None = None) -> Meta:
    """Trained on class split 01 of task one, or on a whole task."""
    learner = Meta()
    tested, sources = (None, [source]) if source else (task(), [])
    known = training_data(SHAPE, SHAPE, tested=tested, class_split="01", sources=sources)
    meta_train(learner, known, Context(), folder)
    return learner


def episodes(tested: Task, class_split: str | None = "01", part: str = "test") -> EpisodeSampler:
    return EpisodeSampler(tested, 2, 1, 1, 0, class_split, part)


REFUSED = {
    "another class split": (task(), "02", "test", r"3 of the 3 classes of one .*\(c0, c1, c2\).*--class-split 01"),
    "all classes": (task(), None, "test", r"6 of the 9 classes of one .*\(c0, c1, c2, \.\.\.\).*--class-split 01"),
    "texts of another task": (task("two", split=False, classes="c"), None, "test", r"48 of the 72 texts of two"),
    "other classes with the same texts": (
        replace(
            task("two", split=False),
            labels=task("two", classes="k").labels,
            rows={"all": tuple(replace(row, label=row.label.replace("c", "k")) for row in task().rows["all"])},
        ),
        None,
        "test",
        r"48 of the 72 texts of two .* are in one too; train it anew with --train one --test two",
    ),
    "the same texts in capitals": (task("two", split=False, text="{label}  SAYS {at}"), None, "test", "48 of the 72"),
    "the same data under another name": (replace(task(), info=replace(task().info, name="two")), "02", "test", "3 of"),
}


@pytest.mark.promise(71)
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("where", ["memory", "folder", "spec", "wrapped", "model folder", "hf: folder"])
def test_what_was_trained_on_is_refused_and_counted(case: str, where: str, tmp_path: Path) -> None:
    tested, class_split, part, message = REFUSED[case]
    in_memory = trained(tmp_path)
    learner = {
        "memory": lambda: in_memory,
        "folder": lambda: Meta(from_=str(tmp_path)),
        "spec": lambda: LEARNERS.build(f"{__file__}:Meta:from={tmp_path}", trust=True),
        "wrapped": lambda: Around(Around(in_memory)),
        "model folder": lambda: Naming(str(tmp_path)),
        "hf: folder": lambda: Naming({"name": f"hf:{tmp_path}"}),
    }[where]()
    with pytest.raises(UsageError, match=message):
        refuse_leaks([learner], episodes(tested, class_split, part))


@pytest.mark.parametrize(
    ("tested", "class_split", "part", "note"),
    [
        (task(), "01", "test", None),
        (task(), "03", "test", None),
        (task(), "01", "valid", "its training was stopped by these validation classes"),
        (task(), "01", "train", "3 of the 3 classes .* this is a training score"),
        (task("two", split=False, text="{label} asks {at}"), None, "test", None),
    ],
    ids=["its own class split", "another without its classes", "validation", "training score", "classes by name alone"],
)
def test_what_is_no_leak_passes(
    tested: Task, class_split: str | None, part: str, note: str | None, tmp_path: Path
) -> None:
    notes = refuse_leaks([trained(tmp_path), Meta(from_=str(tmp_path))], episodes(tested, class_split, part))
    assert len(notes) == (note is not None)
    if note is not None:
        assert re.search(note, notes[0])


def test_a_training_on_other_tasks_without_the_texts_of_the_tested_one_passes() -> None:
    tested = task("two", split=False, text="{label} says {at}")
    longer = task("three", split=False)
    longer = replace(longer, rows={"all": (*longer.rows["all"], *task(text="{label} adds {at}").rows["all"])})
    longer = replace(longer, rows={"all": tuple(replace(row, id=f"{at}") for at, row in enumerate(longer.rows["all"]))})
    learner = Meta()
    meta_train(learner, training_data(SHAPE, SHAPE, tested=tested, sources=[longer]), Context())
    assert refuse_leaks([learner], episodes(tested, None)) == []
    assert refuse_leaks([Meta()], episodes(tested, None)) == []


def test_texts_to_stop_early_on_count_too() -> None:
    with pytest.raises(UsageError, match="72 of the 72 texts of two"):
        refuse_leaks([trained(source=task("one", split=False))], episodes(task("two", split=False), None))


def _run(learner: Learner, spec: str, folder: Path) -> None:
    run(learner, episodes(task(), "02"), 2, run_dir=folder / "run")


def _baseline(learner: Learner, spec: str, folder: Path) -> None:
    run(Naming("any"), episodes(task(), "02"), 2, run_dir=folder / "run", baselines={"other": learner})


def _compare_object(learner: Learner, spec: str, folder: Path) -> None:
    compare(task(), {"mine": learner}, way=2, shot=1, episodes=2, class_split=["01", "02"], folder=folder / "run")


def _compare_spec(learner: Learner, spec: str, folder: Path) -> None:
    compare(task(), [spec], way=2, shot=1, episodes=2, class_split="02", folder=folder / "run")


@pytest.mark.promise(71)
@pytest.mark.parametrize("way_in", [_run, _baseline, _compare_object, _compare_spec])
def test_every_test_is_refused_before_its_first_episode(way_in: Callable[..., None], tmp_path: Path) -> None:
    learner = trained(tmp_path / "kept")
    with pytest.raises(UsageError, match="meta was trained or validated on 3 of the 3 classes"):
        way_in(learner, f"{__file__}:Meta:from={tmp_path / 'kept'}", tmp_path)
    assert not list(tmp_path.rglob("run.sqlite"))


@pytest.mark.promise(72)
def test_a_training_without_a_record_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    trained(tmp_path / "kept")
    (tmp_path / "kept" / NAME).unlink()
    for at, learner in enumerate([Meta(from_=str(tmp_path / "kept")), Naming(str(tmp_path / "kept"))]):
        said: list[str] = []
        run(learner, episodes(task(), "02"), 2, run_dir=tmp_path / f"{at}", ctx=Context(notify=said.append))
        assert len([message for message in said if "cannot be checked" in message]) == 1


@pytest.mark.parametrize("content", ["{", "{}", '{"tasks": [{"name": 1}]}', "keys"])
def test_a_damaged_record_is_told(content: str, tmp_path: Path) -> None:
    trained(tmp_path)
    whole = json.loads((tmp_path / NAME).read_text())
    whole["tasks"][0]["train"]["texts"] = "no base64"
    (tmp_path / NAME).write_text(json.dumps(whole) if content == "keys" else content)
    with pytest.raises(StorageError, match="is damaged"):
        refuse_leaks([Meta(from_=str(tmp_path))], episodes(task()))


def test_a_second_training_keeps_what_the_first_one_saw(tmp_path: Path) -> None:
    learner = trained()
    other = task("two", split=False, text="{label} asks {at}")
    meta_train(learner, training_data(SHAPE, SHAPE, sources=[other]), Context(), tmp_path)
    for tested, class_split in ((task(), "02"), (other, None)):
        with pytest.raises(UsageError, match="was trained or validated on"):
            refuse_leaks([Meta(from_=str(tmp_path))], episodes(tested, class_split))


@pytest.mark.promise(72)
def test_a_predictor_keeps_the_record_of_its_learner(tmp_path: Path) -> None:
    one = task()
    rows = tuple(one.rows["all"][:8])
    Predictor(f"{__file__}:Meta", one.info, one.labels, rows, learner=trained()).save(tmp_path / "kept")
    with pytest.raises(UsageError, match="3 of the 3 classes"):
        refuse_leaks([Meta(from_=str(tmp_path / "kept" / "learner"))], episodes(one, "02"))


def test_ten_thousand_texts_take_less_than_200_kb(tmp_path: Path) -> None:
    names = [f"c{at}" for at in range(10)]
    rows = tuple(Example(f"{c}-{at}", f"{c} says {at}", c) for c in names for at in range(1000))
    big = replace(task(split=False), labels=tuple(Label(name, name) for name in names), rows={"all": rows})
    trained(tmp_path, source=big)
    assert (tmp_path / NAME).stat().st_size < 200_000
