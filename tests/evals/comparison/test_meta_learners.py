"""Learners that are trained on other classes, whoever wrote them: anew for every series of episodes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.comparison import compare
from evals.episode import Episode
from evals.learner import BaseLearner, Context
from evals.task import Task
from evals.types import Answer, Problem
from fewshot.core.catalog import LEARNERS
from tests.evals.fakes import classification_task

HERE = Path(__file__)


class Remembering(BaseLearner):
    """Remembers the classes that it was trained on, and will not be asked about them."""

    name = "remembering"

    def __init__(self) -> None:
        self._known: list[str] = []

    @property
    def trained(self) -> bool:
        return bool(self._known)

    def meta_fit(
        self, train: Sequence[Episode], valid: Sequence[Episode], ctx: Context, folder: Path | None = None
    ) -> None:
        episodes = [known[at] for known in (train, valid) for at in range(20)]
        self._known = sorted({label.name for episode in episodes for label in episode.problem.labels})

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "learner.json").write_text(json.dumps(self._known))

    def load(self, folder: Path) -> None:
        self._known = json.loads((folder / "learner.json").read_text())

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        if known := [label.name for label in problem.labels if label.name in self._known]:
            raise AssertionError(f"tested on {known}, which it was trained on")
        return [Answer(problem.labels[0].name) for _ in problem.queries]


def made() -> Remembering:
    """A function that makes one: nothing is known of what it makes before it is called."""
    return Remembering()


def task_of_two_splits() -> Task:
    task = classification_task(9, per_class=12)
    names = [label.name for label in task.labels]
    parts = {"train": names[:3], "valid": names[3:6], "test": names[6:]}
    turned = {"train": names[6:], "valid": names[3:6], "test": names[:3]}
    return Task(task.info, task.labels, task.rows, {"01": parts, "02": turned})


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The learner as another package brings it."""
    (tmp_path / "meta_plugin.py").write_text(HERE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "meta_plugin-1.dist-info").mkdir()
    points = "[fewshot.learners]\nremembering = meta_plugin:Remembering\n"
    (tmp_path / "meta_plugin-1.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "meta_plugin", raising=False)
    return "remembering"


@pytest.mark.promise(69)
@pytest.mark.parametrize("who", ["class in a file", "function in a file", "plugin", "object"])
def test_no_class_split_is_tested_by_what_another_one_trained(who: str, plugin: str, tmp_path: Path) -> None:
    named: dict[str, Any] = {
        "class in a file": f"{HERE}:Remembering",
        "function in a file": f"{HERE}:made",
        "plugin": plugin,
        "object": Remembering(),
    }
    found = compare(
        task_of_two_splits(),
        {"own": named[who]},
        way=3,
        shot=1,
        episodes=3,
        class_split=["01", "02"],
        folder=tmp_path / "c",
    )
    assert not found.absent, found.absent
    assert found.analyses[0].standing("own").non_ok_rate == 0


@pytest.mark.parametrize("who", ["class in a file", "function in a file", "plugin"])
def test_without_training_classes_it_is_left_out_whoever_wrote_it(who: str, plugin: str, tmp_path: Path) -> None:
    named = {"class in a file": f"{HERE}:Remembering", "function in a file": f"{HERE}:made", "plugin": plugin}
    found = compare(classification_task(), {"own": named[who]}, way=3, shot=1, episodes=2, folder=tmp_path / "c")
    assert [(each.learner, each.status) for each in found.absent] == [("own", "skipped")]
    assert "no training classes" in found.absent[0].reason


@pytest.mark.parametrize("name", ["remembering", f"{HERE}:Remembering"])
def test_what_a_class_declares_is_read_there(name: str, plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = LEARNERS.entry(name)
    assert entry.flags == ("needs_meta_training",)
    cls = entry.load()
    for attribute, value in {"baseline": True, "transductive": True, "extra": "local", "kinds": ("tagging",)}.items():
        monkeypatch.setattr(cls, attribute, value, raising=False)
        assert getattr(entry, attribute) == value
    assert entry.flags == ("baseline", "transductive", "needs_meta_training")


def test_a_plugin_that_declares_itself_a_baseline_is_in_every_comparison(
    plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LEARNERS.entry(plugin).load(), "baseline", True)
    found = compare(task_of_two_splits(), ["tfidf"], way=3, shot=1, episodes=2, class_split="01", folder=tmp_path / "c")
    assert found.analyses[0].standing(plugin).baseline
