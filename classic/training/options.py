"""How meta-parameters are optimised: the arguments, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fewshot.core.errors import UsageError, unknown_name
from fewshot.training.schedule import Schedule, rate

Optimizer = Literal["adam", "sgd"]


@dataclass(frozen=True)
class TrainingOptions:
    """How the meta-parameters are optimised.

    Attributes:
        steps: outer steps at most.
        meta_batch: tasks per step.
        optimizer: "adam" (Kingma and Ba 2015) or "sgd".
        lr: outer step size. schedule: how it changes.
        clip: largest norm of the meta-gradient; None for no limit.
        eval_every: steps between two evaluations on the validation tasks. Each is a checkpoint.
        patience: evaluations without a better one after which training stops; None trains to the end.
        n_valid: validation tasks.
        keep_start: whether the initial parameters are kept unless training is significantly better than they are.
        seed: of the initial parameters.
    """

    steps: int = 600
    meta_batch: int = 16
    optimizer: Optimizer = "adam"
    lr: float = 1e-3
    schedule: Schedule = "constant"
    clip: float | None = 10.0
    eval_every: int = 50
    patience: int | None = 6
    n_valid: int = 200
    keep_start: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "meta_batch", "eval_every", "n_valid"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is too small: at least 1 is needed")
        if self.optimizer not in get_args(Optimizer):
            raise unknown_name("optimizer", self.optimizer, get_args(Optimizer))
        rate(0, 1, self.schedule)
