"""Reptile. Nichol, Achiam and Schulman 2018, arXiv 1803.02999.

The algorithm is in `classic.functional.reptile`: the meta-parameters move towards where plain training on a task ends.

Traps: the outer optimiser is SGD whose rate falls to zero; inner steps see different minibatches; tests take more steps
than training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.learners.maml import GradientLearner
from classic.training.options import Optimizer
from fewshot.training.schedule import Schedule

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class Reptile(GradientLearner):
    """Towards the solution of every task.

    Attributes:
        batch_size: rows of one inner step in training; None is all of them.
    """

    name = "reptile"
    optimizer: Optimizer = "sgd"
    schedule: Schedule = "linear"
    lr: float | None = 1.0
    clip: float | None = None
    inner_steps: int = 10
    test_steps: int | None = 20
    batch_size: int | None = 10

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import reptile

        return reptile.Reptile(
            self._headed(backbone), self.inner_lr, self.inner_steps, self.test_steps, batch_size=self.batch_size
        )
