"""Reptile. Nichol, Achiam and Schulman 2018, arXiv 1803.02999.

Train on a task by gradient descent for a while, then move the meta-parameters towards where that ended. No second
derivatives, and no split into support and query in training: the inner loop takes all rows of the task in turn.

Traps: the meta-gradient is `params - fast`, so the meta step size 1 of plain SGD is the paper's epsilon 1; inner steps
must see DIFFERENT minibatches, or what Reptile learns is joint training; in a batch of tasks of unequal sizes the turn
goes round the rows of each task, not round its padding; the paper tests with many more steps (50) than it trains with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.maml import Adapted
from classic.functional.base import Described, TensorTask, network_params
from classic.functional.inner import descend, has_diverged, outcome, restricted
from classic.functional.losses import Loss, task_loss
from classic.learners.meta import meta_learner
from classic.networks.head import Headed
from classic.networks.module import ModuleNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from classic.functional.base import Params


@dataclass(frozen=True)
class Reptile(Described):
    """Reptile with plain gradient descent inside.

    Args:
        network: backbone and head; every parameter is adapted.
        inner_lr: step size of the inner loop, for a mean loss.
        inner_steps: inner steps in training.
        test_steps: inner steps at test time, each on the whole support; None takes `inner_steps`.
        batch_size: rows of one inner step in training, taken in turn from support and queries; None is all of them.
        loss: "cross_entropy", or "mse" for regression.
    """

    network: Headed | ModuleNetwork
    inner_lr: float = 0.1
    inner_steps: int = 5
    test_steps: int | None = None
    batch_size: int | None = 10
    loss: Loss = "cross_entropy"

    name = "reptile"
    second_order = False

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network."""
        return self.network.init(generator)

    def adapt(self, params: Params, task: TensorTask) -> Adapted:
        """The network after `test_steps` steps on the support."""
        steps = self.inner_steps if self.test_steps is None else self.test_steps
        fast = self.network.begin(network_params(params), task)
        fast = descend(
            self._loss(task.support_x, task.support_y, task.support_mask, task.class_mask), fast, self.inner_lr, steps
        )
        return Adapted(fast, task.class_mask)

    def logits(self, fast: Adapted, query_x: Tensor) -> Tensor:
        """(n_query, way) logits, or (n_query, d) predictions."""
        return restricted(self.network.apply(fast.params, query_x), fast.class_mask, self.loss)

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """`params - fast`, pulled back to the meta-parameters where the head starts from fewer of them.

        Metrics are those of the queries, which the inner loop has seen: they tell whether it learns, not how well.
        """
        import torch
        from torch.func import vjp

        x = torch.cat([task.support_x, task.query_x])
        y = torch.cat([task.support_y, task.query_y])
        mask = torch.cat([task.support_mask, task.query_mask])
        start, pull_back, *_ = vjp(lambda params: self.network.begin(params, task), network_params(params))
        fast = start
        for step in range(self.inner_steps):
            rows = self._minibatch(step, mask)
            fast = descend(self._loss(x[rows], y[rows], mask[rows], task.class_mask), fast, self.inner_lr, 1)
        (direction,) = pull_back({name: start[name] - fast[name] for name in start})
        before, _ = outcome(self.logits(Adapted(start, task.class_mask), task.query_x), task, self.loss)
        after, metrics = outcome(self.logits(Adapted(fast, task.class_mask), task.query_x), task, self.loss)
        return direction, metrics | {"diverged": has_diverged(before, after, direction)}

    def _minibatch(self, step: int, mask: Tensor) -> Tensor:
        """Positions of the rows of one inner step. Rows that do not exist take no turn."""
        import torch

        if self.batch_size is None:
            return torch.arange(len(mask), device=mask.device)
        existing_first = mask.argsort(descending=True, stable=True)
        turns = torch.arange(step * self.batch_size, (step + 1) * self.batch_size, device=mask.device)
        return existing_first[turns % mask.sum().long().clamp(min=1)]

    def _loss(self, x: Tensor, y: Tensor, mask: Tensor, class_mask: Tensor) -> Callable[[Params], Tensor]:
        def loss(fast: Params) -> Tensor:
            return task_loss(restricted(self.network.apply(fast, x), class_mask, self.loss), y, mask, self.loss)

        return loss


Learner = meta_learner(
    Reptile,
    head="zero",
    without=("loss",),
    inner_steps=10,
    test_steps=20,
    optimizer="sgd",
    schedule="linear",
    lr=1.0,
    clip=None,
)
