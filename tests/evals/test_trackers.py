"""Trackers: figures go where they shall, and no tracker can break a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evals.trackers import Trackers, numbers, track
from fewshot.core import registry
from fewshot.core.errors import UsageError

CONFIG = {"task": {"name": "toy"}, "seed": 0}
RESULT = {"learner": "maml", "accuracy": {"mean": 0.75, "ci95": [0.7, 0.8]}, "n_episodes": 600, "complete": True}


class Recorder:
    """Keeps what it is sent, but for the verbs at which it fails."""

    calls: list[tuple[Any, ...]]

    def __init__(self, fails_at: str = "") -> None:
        self.fails_at = fails_at
        self.calls = []
        built.append(self)

    def start(self, name: str, config: Mapping[str, Any]) -> None:
        self._note("start", name, config)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._note("log", metrics, step)

    def finish(self, result: Mapping[str, float] | None) -> None:
        self._note("finish", result)

    def _note(self, verb: str, *arguments: Any) -> None:
        if verb == self.fails_at:
            raise RuntimeError(f"no {verb} today")
        self.calls.append((verb, *arguments))


built: list[Recorder] = []


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two packages with trackers: one that works and one that cannot be imported."""
    points = [
        EntryPoint("recorder", f"{__name__}:Recorder", "fewshot.trackers"),
        EntryPoint("broken", "no_such_package:Tracker", "fewshot.trackers"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "fewshot.trackers" else [])
    built.clear()
    yield


def test_the_numbers_of_a_document_by_path() -> None:
    document = {
        "accuracy": {"mean": 0.5, "ci95": [0.4, 0.6]},
        "winner": "icl",
        "none": None,
        "sure": True,
        "learners": [{"name": "icl", "shot": 1, "n": 2}, {"name": "icl", "shot": 5, "n": 3}],
        "pairs": [{"a": "icl", "b": "maml", "p": 0.01}],
        "others": [{"x": 1}],
    }
    assert numbers(document) == {
        "accuracy/mean": 0.5,
        "learners/icl/1/shot": 1.0,
        "learners/icl/1/n": 2.0,
        "learners/icl/5/shot": 5.0,
        "learners/icl/5/n": 3.0,
        "pairs/icl/maml/p": 0.01,
        "others/0/x": 1.0,
    }


def test_a_tracker_of_another_package_follows_a_run() -> None:
    warnings: list[str] = []
    with track(["recorder"], "a run", CONFIG, warnings.append) as tracking:
        tracking.log({"loss": 0.5, "valid_accuracy": None}, 25)
        tracking.finish(RESULT)
    assert built[0].calls == [
        ("start", "a run", CONFIG),
        ("log", {"loss": 0.5}, 25),
        ("finish", {"accuracy/mean": 0.75, "n_episodes": 600.0}),
    ]
    assert not warnings


def test_what_is_broken_off_has_no_result() -> None:
    with pytest.raises(KeyboardInterrupt), track(["recorder"], "a run", CONFIG, print):
        raise KeyboardInterrupt
    assert built[0].calls[-1] == ("finish", None)


@pytest.mark.parametrize("verb", ["start", "log", "finish"])
def test_a_tracker_that_fails_is_named_and_the_others_go_on(verb: str) -> None:
    warnings: list[str] = []
    with track([f"recorder:fails_at={verb}", "recorder"], "a run", CONFIG, warnings.append) as tracking:
        tracking.log({"loss": 1.0}, 1)
        tracking.log({"loss": 0.5}, 2)
        tracking.finish(RESULT)
    assert warnings == [f"tracker 'recorder:fails_at={verb}' fails and is left out: no {verb} today"]
    assert [call[0] for call in built[1].calls] == ["start", "log", "log", "finish"]


def test_a_tracker_that_does_not_import_is_a_warning() -> None:
    warnings: list[str] = []
    with track(["broken", "recorder"], "a run", CONFIG, warnings.append):
        pass
    assert len(warnings) == 1
    assert "tracker 'broken' fails and is left out: the plugin behind" in warnings[0]
    assert built[0].calls


def test_a_name_that_no_tracker_has() -> None:
    with pytest.raises(UsageError, match="Did you mean 'tensorboard'"), track(["tensorbord"], "a run", CONFIG, print):
        pass


def test_no_tracker_is_fine() -> None:
    with track([], "a run", CONFIG, print) as tracking:
        tracking.log({"loss": 1.0}, 1)
        tracking.finish(RESULT)


@pytest.mark.parametrize(("name", "module"), [("mlflow", "mlflow"), ("tensorboard", "torch.utils.tensorboard")])
def test_without_its_package_the_extra_is_named(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    warnings: list[str] = []
    with track([name], "a run", CONFIG, warnings.append):
        pass
    assert len(warnings) == 1
    assert f'pip install "fewshot[{name}]"' in warnings[0]


def test_mlflow_gets_a_run_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def verb(name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: calls.append((name, args, kwargs))

    verbs = ("set_experiment", "start_run", "log_params", "log_metrics", "end_run")
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(**{name: verb(name) for name in verbs}))
    with track(["mlflow:mine"], "a run", CONFIG | {"lists": list(range(1000))}, pytest.fail) as tracking:
        tracking.log({"valid:loss=1": 0.5}, 25)
        tracking.finish(RESULT)
    assert calls == [
        ("set_experiment", ("mine",), {}),
        ("start_run", (), {"run_name": "a run"}),
        ("log_params", ({"task/name": "toy", "seed": "0", "lists": str(list(range(1000)))[:500]},), {}),
        ("log_metrics", ({"valid_loss_1": 0.5},), {"step": 25}),
        ("log_metrics", ({"accuracy/mean": 0.75, "n_episodes": 600.0},), {"step": 0}),
        ("end_run", (), {"status": "FINISHED"}),
    ]


def test_mlflow_takes_many_parameters_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    stub = SimpleNamespace(
        set_experiment=lambda name: None,
        start_run=lambda run_name: None,
        log_params=lambda params: sizes.append(len(params)),
        end_run=lambda status: sizes.append(status),
    )
    monkeypatch.setitem(sys.modules, "mlflow", stub)
    with track(["mlflow"], "a run", {str(at): at for at in range(250)}, pytest.fail):
        pass
    assert sizes == [100, 100, 50, "KILLED"]


def test_tensorboard_shows_curves_result_and_configuration(tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason='not installed: ".[tensorboard]"',
    )
    with track([f"tensorboard:{tmp_path}"], "a-run", CONFIG, pytest.fail) as tracking:
        for step in (0, 25):
            tracking.log({"loss": 1.0 - step / 100, "accuracy": None}, step)
        tracking.finish(RESULT)
    events = reader.EventAccumulator(str(tmp_path / "a-run"))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("loss")] == [(0, 1.0), (25, 0.75)]
    assert events.Scalars("accuracy/mean")[0].value == 0.75
    shown = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"name": "toy"' in shown


def test_trackers_end_once() -> None:
    recorder = Recorder()
    trackers = Trackers({"recorder": recorder}, pytest.fail)
    trackers.finish(RESULT)
    trackers.finish(None)
    assert len(recorder.calls) == 1
