"""The inner loop: plain gradient descent on the support, shared by every algorithm that adapts by gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from classic.functional.losses import Loss, mask_classes, task_accuracy, task_loss

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

#: A task whose loss ends above this multiple of where it began (or of 1, if that is more) has diverged.
EXPLOSION = 100.0


def descend(
    loss: Callable[[Params], Tensor],
    start: Params,
    rate: float | Tensor | Mapping[str, Tensor],
    steps: int,
    first_order: bool = False,
) -> Params:
    """Take `steps` of gradient descent: w <- w - rate * grad loss(w).

    Args:
        loss: the loss as a function of the parameters that are adapted.
        start: those parameters.
        rate: one step size, or one per parameter (a tensor that broadcasts against it).
        first_order: treat the gradients as constants. The parameters that result still depend on `start`, so the
            outer gradient is that of the last step with the curvature left out (FOMAML).

    Returns:
        The adapted parameters, differentiable with respect to `start` and `rate`.
    """
    from torch.func import grad

    rates = rate if isinstance(rate, Mapping) else dict.fromkeys(start, rate)
    fast = start
    for _ in range(steps):
        at = {name: value.detach() for name, value in fast.items()} if first_order else fast
        slope = grad(loss)(at)
        fast = {name: moved(value, slope[name], rates[name]) for name, value in fast.items()}
    return fast


def moved(value: Tensor, slope: Tensor, rate: float | Tensor) -> Tensor:
    """value - rate * slope, in one pass over memory where the rate is a number: these are the largest tensors."""
    import torch

    return value - rate * slope if isinstance(rate, torch.Tensor) else torch.add(value, slope, alpha=-rate)


def outcome(outputs: Tensor, task: TensorTask, loss: Loss) -> tuple[Tensor, dict[str, Tensor]]:
    """The query loss of one task, and its metrics "loss" and, for classification, "accuracy"."""
    value = task_loss(outputs, task.query_y, task.query_mask, loss)
    metrics = {"loss": value.detach()}
    if loss == "cross_entropy":
        metrics["accuracy"] = task_accuracy(outputs, task.query_y, task.query_mask)
    return value, metrics


def restricted(outputs: Tensor, class_mask: Tensor, loss: Loss) -> Tensor:
    """Outputs with absent classes masked, where outputs are classes."""
    return outputs if loss == "mse" else mask_classes(outputs, class_mask)


def has_diverged(before: Tensor, after: Tensor, direction: Params) -> Tensor:
    """1 where the inner loop of a task blew up, else 0.

    Args:
        before: its loss before the first step.
        after: its loss after the last step.
        direction: its meta-gradient.
    """
    exploded = after > EXPLOSION * before.clamp(min=1)
    return (~all_finite(after, direction) | exploded).to(after.dtype)


def all_finite(loss: Tensor, direction: Params) -> Tensor:
    """Whether loss and meta-gradient are numbers. A sum is one pass over memory, and not finite if a term is not."""
    finite = loss.isfinite()
    for value in direction.values():
        finite = finite & value.sum().isfinite()
    return finite
