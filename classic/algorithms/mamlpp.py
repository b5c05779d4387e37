"""MAML++: how to train your MAML. Antoniou, Edwards and Storkey, ICLR 2019, arXiv 1810.09502.

MAML with four repairs: the query loss after EVERY inner step counts, and less and less so until it is the last one's
alone (multi-step loss); every layer has a learned step size per inner step; the first part of training is first-order;
the outer step size follows a cosine (`schedule`). The paper's two repairs of batch norm have no object here: modules
with batch statistics are refused.

Traps: step sizes are learned for `inner_steps` steps, so a test with more takes the last one's for the rest; losses of
early steps must fade, or the start is trained to be good before it has adapted, which is joint training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from classic.algorithms.maml import MAML, Adapted
from classic.functional.base import OWN
from classic.functional.inner import descend, outcome
from classic.learners.meta import meta_learner
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

RATE = OWN + "log_rate."
#: Levels through which the losses of early steps fade: the paper changes them once per epoch.
_LEVELS = 10


@dataclass(frozen=True)
class MAMLPlusPlus(MAML):
    """MAML, repaired. Other arguments are those of `MAML`.

    Args:
        multi_step: share of the training over which the losses of early steps fade out.
        first_order_until: share of the training, from its beginning, that is first-order.
        early: weight of the losses of early steps beside that of equal weights; `at` sets it, 1 to 0.
    """

    multi_step: float = 0.5
    first_order_until: float = 0.3
    early: float = 0.0

    name = "mamlpp"

    def __post_init__(self) -> None:
        for name in ("multi_step", "first_order_until"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)} must be from 0 to 1; it is a share of the training")
        if self.inner_steps < 1:
            raise UsageError(f"inner_steps {self.inner_steps} is too small: step sizes are learned per step")

    def at(self, progress: float) -> MAMLPlusPlus:
        """The algorithm when a share of the training is done."""
        faded = progress / self.multi_step if progress < self.multi_step else 1.0
        first_order = self.first_order or progress < self.first_order_until
        return replace(self, early=1 - int(faded * _LEVELS) / _LEVELS, first_order=first_order)

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, and `meta.log_rate.NAME` (inner_steps,) for each that the inner loop adapts."""
        import torch

        params = self.network.init(generator)
        first = torch.tensor(self.inner_lr).log()
        rates = {RATE + name: first.repeat(self.inner_steps) for name in (*params, *self.network.head_shapes)}
        return params | rates

    def _query_loss(self, params: Params, task: TensorTask) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted losses after all steps, and the metrics after the last."""
        outcomes = [
            outcome(self.logits(fast, task.query_x), task, self.loss)
            for fast in self._trajectory(params, task, self.inner_steps)
        ]
        *early, (last, metrics) = outcomes
        weight = self.early / len(outcomes)
        total = weight * sum(loss for loss, _ in early) + (1 - weight * len(early)) * last
        return total, metrics | {"loss": total.detach()}

    def _descend(self, params: Params, task: TensorTask, steps: int) -> Adapted:
        *_, last = self._trajectory(params, task, steps)
        return last

    def _trajectory(self, params: Params, task: TensorTask, steps: int) -> list[Adapted]:
        """The network after each inner step; before any, where there is none."""

        def loss(fast: Params) -> Tensor:
            return self._support_loss(fast, task)

        fast = self._begin(params, task)
        passed = [] if steps else [fast]
        for step in range(steps):
            at = min(step, self.inner_steps - 1)
            rates = {name: params[RATE + name][at].exp() for name in fast}
            fast = descend(loss, fast, rates, 1, self.first_order)
            passed.append(fast)
        return [Adapted(each, task.class_mask) for each in passed]


Learner = meta_learner(
    MAMLPlusPlus, head="zero", without=("first_order", "learn_inner_lr", "loss", "early"), schedule="cosine"
)
