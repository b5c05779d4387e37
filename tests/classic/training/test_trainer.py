"""The trainer on a problem whose answer is known, its resume, and its refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from classic.functional.base import TensorTask
from classic.functional.executors import build_executor
from classic.training.options import TrainingOptions
from classic.training.trainer import Trainer
from evals.learner import Context
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import BudgetReached, FewshotError, ResumeMismatch, UsageError
from fewshot.training.checkpoint import fingerprint
from tests.classic.toys import ToyEncoder, context, data

OPTIONS = TrainingOptions(steps=60, meta_batch=4, lr=0.1, eval_every=10, n_valid=8, patience=None)


@dataclass(frozen=True)
class Mean:
    """Regression to a number: the loss is (w - target)^2, so the best w is the mean of all targets."""

    name: str = "mean"
    second_order: bool = False
    network: Any = None

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"w": torch.randn(1, generator=generator)}

    def adapt(self, params: Any, task: TensorTask) -> Any:
        return params

    def logits(self, fast: Any, query_x: torch.Tensor) -> torch.Tensor:
        return fast["w"].expand(len(query_x), 1)

    def meta_gradient(self, params: Any, task: TensorTask) -> Any:
        error = self.logits(params, task.query_x) - task.query_y
        loss = error.square().mean()
        return {"w": 2 * error.mean(dim=0)}, {"loss": loss, "diverged": 1 - loss.isfinite().float()}

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


class Targets:
    """Task i asks for `values[i % len(values)]`."""

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.asked: list[int] = []

    def batch(self, start: int, stop: int) -> TensorTask:
        self.asked += range(start, stop)
        y = torch.tensor([self.values[at % len(self.values)] for at in range(start, stop)])[:, None, None]
        ones = torch.ones(stop - start, 1)
        return TensorTask(y, y, ones, y, y, ones, ones)


def trainer(options: TrainingOptions = OPTIONS, folder: Path | None = None, ctx: Context | None = None) -> Trainer:
    return Trainer(Mean(), build_executor("loop"), options, ctx or context(), folder)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_finds_the_minimum(optimizer, schedule) -> None:
    options = replace(OPTIONS, optimizer=optimizer, schedule=schedule)
    trained = trainer(options).fit(Targets([1.0, 3.0]), Targets([2.0]))
    assert trained.params["w"].item() == pytest.approx(2.0, abs=0.1)
    assert [point.step for point in trained.curve] == [0, 10, 20, 30, 40, 50, 60]
    assert trained.curve[0].loss is None
    assert trained.best.valid_loss == min(point.valid_loss for point in trained.curve if point.valid_loss is not None)


@dataclass(frozen=True)
class Turning(Mean):
    """Goes up in the first half of its training, and down in the second."""

    sign: float = -1.0

    def at(self, progress: float) -> Turning:
        return replace(self, sign=1.0 if progress < 0.5 else -1.0)

    def meta_gradient(self, params: Any, task: TensorTask) -> Any:
        return {"w": torch.full((1,), -self.sign)}, super().meta_gradient(params, task)[1]


def test_an_algorithm_may_change_in_the_course_of_its_training() -> None:
    options = replace(OPTIONS, optimizer="sgd", lr=1.0, steps=40)
    trained = Trainer(Turning(), build_executor("loop"), options, context()).fit(Targets([1.0]), Targets([0.0]))
    start = trained.curve[0].valid_loss
    assert start is not None
    w = [start**0.5 + up if trained.params["w"] > 0 else start**0.5 - up for up in (0, 10, 20, 10, 0)]
    assert [point.valid_loss for point in trained.curve] == pytest.approx([each**2 for each in w], rel=1e-4)


def test_tasks_are_asked_for_in_order_and_each_once() -> None:
    train = Targets([1.0])
    trainer().fit(train, Targets([1.0]))
    assert train.asked == list(range(60 * 4))


def test_training_stops_when_validation_gets_no_better_and_keeps_the_best() -> None:
    """Training pulls towards 5, validation wants what lies on the way there."""
    options = replace(OPTIONS, steps=500, patience=2)
    trained = trainer(options).fit(Targets([5.0]), Targets([2.0]))
    assert trained.steps < 500
    assert trained.steps == trained.step + 20
    assert trained.best.valid_loss < trained.curve[-1].valid_loss
    assert (trained.params["w"].item() - 2.0) ** 2 == pytest.approx(trained.best.valid_loss, rel=1e-4)


@dataclass(frozen=True)
class Coin(Mean):
    """Says class 1 of every query where w > 0, else class 0; it starts at 0, and training moves it up."""

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"w": torch.zeros(1)}

    def logits(self, fast: Any, query_x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.zeros(len(query_x)), fast["w"].expand(len(query_x))], dim=1)

    def meta_gradient(self, params: Any, task: TensorTask) -> Any:
        return {"w": -torch.ones(1)}, {"loss": torch.zeros(()), "diverged": torch.zeros(())}


class Classes(Targets):
    """Task i has queries of class `values[i % len(values)]`."""

    def batch(self, start: int, stop: int) -> TensorTask:
        task = super().batch(start, stop)
        return task._replace(query_y=task.query_y[:, :, 0].long())


@pytest.mark.promise(160)
@pytest.mark.parametrize(
    ("valid", "keep_start", "step"),
    [
        ([1.0], True, 20),
        ([1.0] * 8 + [0.0] * 8, True, 0),
        ([1.0] * 8 + [0.0, 1.0] * 4, True, 0),
        ([1.0] * 8 + [0.0] * 8, False, 20),
    ],
    ids=["a gain", "a gain on the tasks that chose it alone", "no significant gain", "taken all the same"],
)
def test_the_start_is_left_for_a_significant_gain_alone(valid: list[float], keep_start: bool, step: int) -> None:
    messages: list[str] = []
    options = replace(OPTIONS, keep_start=keep_start, steps=20)
    trainer = Trainer(Coin(), build_executor("loop"), options, context(messages))
    trained = trainer.fit(Classes([1.0]), Classes(valid))
    assert trained.step == step
    assert (trained.params["w"].item() > 0) == (step > 0)
    assert any("keeps its start: on 8 more validation episodes" in line for line in messages) == (step == 0)


def test_clipping_bounds_the_step() -> None:
    options = replace(OPTIONS, optimizer="sgd", lr=1.0, clip=0.01, steps=1)
    start = trainer(options).fit(Targets([100.0]), Targets([100.0])).params["w"].item()
    before = Mean().init(torch.Generator().manual_seed(0))["w"].item()
    assert abs(start - before) < 10


def test_diverged_tasks_are_counted_and_averaged_into_nothing() -> None:
    messages: list[str] = []
    source = Targets([1.0, float("inf"), 3.0, 2.0])
    trained = trainer(ctx=context(messages)).fit(source, Targets([2.0]))
    assert trained.diverged == 60
    assert trained.params["w"].item() == pytest.approx(2.0, abs=0.1)
    assert all(point.loss is not None and point.loss < 100 for point in trained.curve[1:])
    assert any("10 tasks diverged" in message for message in messages)


def test_a_training_in_which_everything_diverges_is_given_up() -> None:
    with pytest.raises(FewshotError, match="every task of the last 20 steps did, up to step 20; use a smaller lr"):
        trainer().fit(Targets([float("nan")]), Targets([1.0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"steps": 0}, "steps 0"), ({"optimizer": "adma"}, "adam"), ({"schedule": "cosin"}, "cosine")],
    ids=["no steps", "optimizer", "schedule"],
)
def test_options_are_checked_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingOptions(**changes)


def test_a_deadline_writes_the_checkpoint_and_says_how_to_go_on(tmp_path: Path) -> None:
    stopping = Context(device="cpu", deadline=time.monotonic() - 1)
    with pytest.raises(BudgetReached, match="the same command goes on from step 0"):
        trainer(folder=tmp_path, ctx=stopping).fit(Targets([1.0, 3.0]), Targets([2.0]))
    whole = trainer().fit(Targets([1.0, 3.0]), Targets([2.0]))
    resumed = trainer(folder=tmp_path).fit(Targets([1.0, 3.0]), Targets([2.0]))
    assert fingerprint(resumed.params) == fingerprint(whole.params)
    assert resumed.curve == whole.curve


def test_interruption_in_the_middle_of_an_interval_loses_nothing(tmp_path: Path) -> None:
    ctx = context()

    class Interrupting(Targets):
        def batch(self, start: int, stop: int) -> TensorTask:
            if start == 4 * 17:
                ctx.cancel.set()
            return super().batch(start, stop)

    with pytest.raises(KeyboardInterrupt):
        trainer(folder=tmp_path, ctx=ctx).fit(Interrupting([1.0, 3.0, 7.0]), Targets([2.0]))
    rest = Targets([1.0, 3.0, 7.0])
    resumed = trainer(folder=tmp_path).fit(rest, Targets([2.0]))
    whole = trainer().fit(Targets([1.0, 3.0, 7.0]), Targets([2.0]))
    assert rest.asked[0] == 4 * 18
    assert fingerprint(resumed.params) == fingerprint(whole.params)
    assert resumed.curve == whole.curve


def test_a_resume_with_other_options_is_refused_with_the_difference(tmp_path: Path) -> None:
    trainer(folder=tmp_path).fit(Targets([1.0]), Targets([1.0]))
    with pytest.raises(ResumeMismatch, match=r"options\.lr: 0\.1 -> 0\.2"):
        trainer(replace(OPTIONS, lr=0.2), tmp_path).fit(Targets([1.0]), Targets([1.0]))


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.classic.training.test_trainer import learner_named
from tests.classic.toys import data
from evals.learner import Context

def notify(message):
    if message.startswith("step 30/"):
        os.kill(os.getpid(), signal.SIGKILL)

known = data()
learner_named(sys.argv[1]).meta_fit(known.train, known.valid, Context(device="cpu", notify=notify), Path(sys.argv[2]))
"""


def learner_named(name: str) -> Any:
    settings: Any = {"steps": 40, "eval_every": 10, "meta_batch": 4, "n_valid": 20, "patience": None}
    return LEARNERS.build(name, encoder=ToyEncoder(), **settings)


@pytest.mark.parametrize("name", ["protonet", "maml"])
def test_resume_after_kill_is_bit_exact(tmp_path: Path, name: str) -> None:
    """A promise for equal shapes and equal threads, and the killed process has those of this one."""
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, name, str(tmp_path / "killed")],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
        },
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    messages: list[str] = []
    known = data()
    resumed, whole = learner_named(name), learner_named(name)
    resumed.meta_fit(known.train, known.valid, context(messages), tmp_path / "killed")
    whole.meta_fit(known.train, known.valid, context(), tmp_path / "whole")
    assert messages[0].endswith("going on from step 20")
    assert resumed.describe()["weights"] == whole.describe()["weights"]
    curves = [(tmp_path / each / "curve.csv").read_text() for each in ("whole", "killed")]
    assert curves[0] == curves[1]
