"""MAML on a torch module, with the habits of learn2learn: clone, adapt, call, and an ordinary optimiser.

    maml = MAML(model, lr=0.1)
    optimizer = torch.optim.Adam(maml.parameters())
    learner = maml.clone()
    learner.adapt(loss(learner(support_x), support_y))
    loss(learner(query_x), query_y).backward()
    optimizer.step()

One task at a time; the numbers are those of `classic.algorithms.maml.MAML`, which runs a batch of tasks at once.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn

from classic.functional.inner import moved
from classic.functional.safety import require_pure, second_order
from fewshot.core.errors import FewshotError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_FOREIGN = (
    "the loss depends on no parameter of this learner: compute it by calling the clone that adapts, outside "
    "torch.no_grad()"
)


class ModuleMAML(nn.Module):
    """A module that can be cloned and adapted, differentiably. `MAML(module, lr=...)` makes one.

    The module is not copied: training `parameters()` trains it, and its `state_dict` holds the result.

    Args:
        module: what is meta-trained. Batch statistics and dropout are refused while they are on.
        lr: step size of the inner loop.
        first_order: leave out second derivatives (FOMAML).
        allow_unused: leave parameters as they are that the loss does not depend on; None takes `allow_nograd`.
        allow_nograd: leave parameters as they are that require no gradient.

    Raises:
        UsageError: a layer mixes rows or draws at random; names it.
    """

    def __init__(
        self,
        module: nn.Module,
        lr: float | Tensor,
        first_order: bool = False,
        allow_unused: bool | None = None,
        allow_nograd: bool = False,
    ) -> None:
        super().__init__()
        require_pure(module)
        self.module = module
        self.lr = lr
        self.first_order = first_order
        self.allow_nograd = allow_nograd
        self.allow_unused = allow_nograd if allow_unused is None else allow_unused

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives, by kernels that can be differentiated twice."""
        if self.first_order:
            return self.module(*args, **kwargs)
        with second_order():
            return self.module(*args, **kwargs)

    def clone(
        self,
        first_order: bool | None = None,
        allow_unused: bool | None = None,
        allow_nograd: bool | None = None,
    ) -> Self:
        """A copy to be adapted to one task. Gradients of what it computes reach the parameters of the original.

        Args:
            first_order, allow_unused, allow_nograd: None takes those of the original.
        """
        return type(self)(
            rewired(self.module, {name: value.clone() for name, value in self.module.named_parameters()}),
            self.lr,
            self.first_order if first_order is None else first_order,
            self.allow_unused if allow_unused is None else allow_unused,
            self.allow_nograd if allow_nograd is None else allow_nograd,
        )

    def adapt(
        self,
        loss: Tensor,
        first_order: bool | None = None,
        allow_unused: bool | None = None,
        allow_nograd: bool | None = None,
    ) -> None:
        """Take one step of gradient descent on a loss that this clone computed.

        Args:
            loss: (), on the support.
            first_order, allow_unused, allow_nograd: None takes those of the clone.

        Raises:
            UsageError: a parameter has no part in the loss, or requires no gradient, and that is not allowed.
            FewshotError: a gradient is not finite.
        """
        first_order = self.first_order if first_order is None else first_order
        params = dict(self.module.named_parameters())
        adapted = {name: value for name, value in params.items() if value.requires_grad}
        if not (self.allow_nograd if allow_nograd is None else allow_nograd):
            _require_none(params.keys() - adapted.keys(), "requires no gradient", "allow_nograd=True")
        if not adapted or not loss.requires_grad:
            raise UsageError(_FOREIGN)
        slopes = torch.autograd.grad(
            loss, list(adapted.values()), retain_graph=not first_order, create_graph=not first_order, allow_unused=True
        )
        steps = {name: slope for name, slope in zip(adapted, slopes, strict=True) if slope is not None}
        if not steps:
            raise UsageError(_FOREIGN)
        if not (self.allow_unused if allow_unused is None else allow_unused):
            _require_none(adapted.keys() - steps.keys(), "has no part in the loss", "allow_unused=True")
        for name, slope in steps.items():
            if not slope.isfinite().all():
                raise FewshotError(
                    f"the gradient of {name!r} is not finite (the loss is {loss.item():.4g}): the inner loop diverged. "
                    "Use a smaller lr or fewer steps, and look for NaN in the data"
                )
        moves = {name: moved(value, steps[name], self.lr) for name, value in params.items() if name in steps}
        self.module = rewired(self.module, params | moves)

    def __getattr__(self, name: str) -> Any:
        """What this object does not have is that of the module."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "module":
                raise
            return getattr(self.module, name)


def rewired(module: nn.Module, params: Mapping[str, Tensor]) -> nn.Module:
    """A copy of a module that computes with other tensors in place of its parameters, differentiably.

    Whatever else refers to a parameter (a list of layers, a tied weight) refers to its replacement in the copy.
    """
    return deepcopy(module, {id(value): params[name] for name, value in module.named_parameters()})


def _require_none(names: set[str], what: str, way_out: str) -> None:
    if names:
        raise UsageError(f"parameter {min(names)!r} {what}; with {way_out} such parameters stay as they are")
