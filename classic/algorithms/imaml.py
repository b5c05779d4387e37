"""Implicit MAML. Rajeswaran, Finn, Kakade and Levine, NeurIPS 2019, arXiv 1909.04630.

The inner problem has a pull towards its start: support loss + strength / 2 |w - start|^2. At its solution w* the
meta-gradient depends on w* alone, and not on the way there: it solves (I + H / strength) g = query gradient, with H the
Hessian of the support loss at w*. Conjugate gradient needs products of H with vectors only, so memory does not grow
with the inner steps, and any optimiser may take them.

Traps: the formula holds at a SOLUTION; too few inner steps, or a step size above 2 / (curvature + strength), and the
gradient is biased without a sign of it. Where the loss is not convex the strength must exceed the most negative
curvature, or there is no solution to converge to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.maml import MAML, Adapted
from classic.functional.base import network_params
from classic.functional.inner import descend, has_diverged, outcome
from classic.learners.meta import meta_learner
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


@dataclass(frozen=True)
class IMAML(MAML):
    """MAML by the implicit function theorem. Other arguments are those of `MAML`.

    Args:
        strength: of the pull towards the start; the paper's lambda.
        cg_steps: steps of conjugate gradient; as many as there are parameters give the exact solution.
    """

    inner_steps: int = 15
    strength: float = 1.0
    cg_steps: int = 5

    name = "imaml"

    def __post_init__(self) -> None:
        if self.strength <= 0:
            raise UsageError(f"strength {self.strength} must be above 0: without a pull the start decides nothing")
        if self.first_order or self.learn_inner_lr:
            raise UsageError("imaml takes no first_order and no learn_inner_lr: the way to the solution does not count")

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """The implicit gradient at the solution, pulled back to the meta-parameters through the start of the head."""
        from torch.func import grad, grad_and_value, vjp

        def support_loss(fast: Params) -> Tensor:
            return self._support_loss(fast, task)

        def query_loss(fast: Params) -> tuple[Tensor, dict[str, Tensor]]:
            return outcome(self.logits(Adapted(fast, task.class_mask), task.query_x), task, self.loss)

        def system(vector: Params) -> Params:
            (curved,) = times_hessian(vector)
            return {name: value + curved[name] / self.strength for name, value in vector.items()}

        start, pull_back, *_ = vjp(lambda own: self.network.begin(own, task), network_params(params))
        fast = self._solved(start, task, self.inner_steps)
        # The Hessian is symmetric: a product from the left, by reverse mode, is one from the right.
        _, times_hessian, *_ = vjp(grad(support_loss), fast)
        slope, (loss, metrics) = grad_and_value(query_loss, has_aux=True)(fast)
        (gradient,) = pull_back(conjugate_gradient(system, slope, self.cg_steps))
        return gradient, metrics | {"diverged": has_diverged(support_loss(start), loss, gradient)}

    def _descend(self, params: Params, task: TensorTask, steps: int) -> Adapted:
        return Adapted(self._solved(self._begin(params, task), task, steps), task.class_mask)

    def _solved(self, start: Params, task: TensorTask, steps: int) -> Params:
        def loss(fast: Params) -> Tensor:
            apart = sum((fast[name] - value).square().sum() for name, value in start.items())
            return self._support_loss(fast, task) + self.strength / 2 * apart

        return descend(loss, start, self.inner_lr, steps)


def conjugate_gradient(system: Callable[[Params], Params], target: Params, steps: int) -> Params:
    """Solve system(x) = target for a symmetric positive definite system (Hestenes and Stiefel 1952).

    Args:
        steps: at most; once the residual is zero, the others change nothing.
    """

    def step_size(above: Tensor, below: Tensor) -> Tensor:
        # Tasks of a batch converge at different steps: then 0 / 0, and no branch may depend on one task.
        return (above / below.where(below != 0, 1)).where(below != 0, 0)

    found = {name: value.new_zeros(value.shape) for name, value in target.items()}
    residual = direction = target
    squared = _dot(residual, residual)
    for _ in range(steps):
        through = system(direction)
        length = step_size(squared, _dot(direction, through))
        found = {name: value + length * direction[name] for name, value in found.items()}
        residual = {name: value - length * through[name] for name, value in residual.items()}
        before, squared = squared, _dot(residual, residual)
        turned = step_size(squared, before)
        direction = {name: value + turned * direction[name] for name, value in residual.items()}
    return found


def _dot(one: Params, other: Params) -> Tensor:
    """The inner product over all parameters together."""
    import torch

    return torch.stack([(value * other[name]).sum() for name, value in one.items()]).sum()


Learner = meta_learner(IMAML, head="zero", without=("first_order", "learn_inner_lr", "loss"))
