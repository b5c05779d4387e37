"""How far a training is: when to evaluate, which evaluation was the best, when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evals.learner import Context
from fewshot.core.errors import BudgetReached
from fewshot.training.curves import Point


@dataclass
class Progress:
    """The course of one training.

    Attributes:
        steps: at most. eval_every: steps between two evaluations.
        patience: evaluations without a better one after which training stops; None trains to the end.
        goal: training accuracy from which on there is no more to learn; None for no such goal.
    """

    steps: int
    eval_every: int
    patience: int | None = None
    goal: float | None = None
    step: int = 0
    best_step: int = 0
    curve: list[Point] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether there is no step to be taken any more."""
        return self.step >= self.steps or self._has_lost_patience or self._is_at_goal

    @property
    def is_due(self) -> bool:
        """Whether this step is followed by an evaluation."""
        return self.step % self.eval_every == 0 or self.step == self.steps

    @property
    def best(self) -> Point:
        """The best evaluation so far."""
        return next(point for point in self.curve if point.step == self.best_step)

    def add(self, point: Point) -> bool:
        """Append an evaluation; returns whether it is the best so far."""
        better = not self.curve or _rank(point) > _rank(self.best)
        if better:
            self.best_step = point.step
        self.curve.append(point)
        return better

    def line(self) -> str:
        """The last evaluation, for people."""
        point = self.curve[-1]
        figures = {
            "loss": point.loss,
            "accuracy": point.accuracy,
            "valid loss": point.valid_loss,
            "valid accuracy": point.valid_accuracy,
            **point.parts,
        }
        shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items() if value is not None)
        diverged = f", {point.diverged} tasks diverged" if point.diverged else ""
        return f"step {self.step}/{self.steps}: {shown}{diverged}; best at step {self.best_step}"

    def interrupt(self, ctx: Context, folder: Path | None) -> None:
        """Leave a training that the context stops, once its state is written.

        Raises:
            KeyboardInterrupt, BudgetReached: always one of them.
        """
        if ctx.cancel.is_set():
            raise KeyboardInterrupt
        kept = f"; the same command goes on from step {self.step}" if folder else ""
        raise BudgetReached(f"the deadline passed after {self.step} of {self.steps} training steps{kept}")

    def record(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, JSON-ready."""
        return {"step": self.step, "best_step": self.best_step, "curve": [asdict(point) for point in self.curve]}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.step, self.best_step = record["step"], record["best_step"]
        self.curve = [Point(**point) for point in record["curve"]]

    @property
    def _has_lost_patience(self) -> bool:
        return self.patience is not None and self.step - self.best_step >= self.patience * self.eval_every

    @property
    def _is_at_goal(self) -> bool:
        reached = self.curve[-1].accuracy if self.curve else None
        return self.goal is not None and reached is not None and reached >= self.goal


def _rank(point: Point) -> tuple[float, float]:
    """Points are compared by validation accuracy, then by validation loss."""
    accuracy = -math.inf if point.valid_accuracy is None else point.valid_accuracy
    return accuracy, -math.inf if point.valid_loss is None else -point.valid_loss
