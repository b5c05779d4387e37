"""The functional core's contract: an algorithm is pure functions on one task; executors run many tasks at once.

params --adapt(support)--> fast --logits(query)--> (n_query, way)
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from classic.networks.module import ModuleNetwork

    Params = dict[str, Tensor]


class TensorTask(NamedTuple):
    """One task as tensors, or a batch of tasks when every field has one more leading dimension (n_tasks).

    Masks make the shapes of a batch equal: padded rows and classes are 0 there and never count.

    Attributes:
        support_x: (n_support, ...) features, token ids or images.
        support_y: (n_support,) int64 class numbers, or (n_support, d) float targets for regression.
        support_mask: (n_support,) float, 1 for rows that exist.
        query_x: (n_query, ...).
        query_y: (n_query,) int64, or (n_query, d) float.
        query_mask: (n_query,) float.
        class_mask: (way,) float, 1 for classes that exist.
    """

    support_x: Tensor
    support_y: Tensor
    support_mask: Tensor
    query_x: Tensor
    query_y: Tensor
    query_mask: Tensor
    class_mask: Tensor

    @classmethod
    def of(
        cls, support_x: Tensor, support_y: Tensor, query_x: Tensor, query_y: Tensor, way: int | None = None
    ) -> TensorTask:
        """A task, or a batch of them, in which every row and class exists.

        Args:
            way: number of classes; None reads it from the support, and for regression from the columns of the targets.
        """
        import torch

        regression = support_y.is_floating_point()
        rows = support_y[..., 0] if regression else support_y
        real = support_y.dtype if regression else torch.get_default_dtype()
        if support_x.is_floating_point():
            real = support_x.dtype
        if way is None:
            way = support_y.shape[-1] if regression else int(support_y.max()) + 1
        queries = query_y[..., 0] if regression else query_y
        return cls(
            support_x,
            support_y,
            torch.ones_like(rows, dtype=real),
            query_x,
            query_y,
            torch.ones_like(queries, dtype=real),
            torch.ones(*rows.shape[:-1], way, dtype=real, device=rows.device),
        )


class _FromModules(type(Protocol)):
    """Lets `Network` make networks without asking every network to make some."""

    def of(cls, module: nn.Module, example: Tensor | None = None) -> ModuleNetwork:
        """Any torch module as a network, with the weights that it has.

        It must be a function of its parameters and of one row at a time: batch statistics and dropout are switched
        off before, with `module.eval()`, or refused.

        Args:
            module: takes (n, ...) and gives (n, features). It is copied.
            example: two rows that it takes, which tell how many features it gives and whether it can be vectorised.
                None makes some up for its first layer.

        Raises:
            UsageError: it is no such function, or fails on the example; names the layer and the way out.
        """
        from classic.networks.module import of_module

        return of_module(module, example)


class Network(Protocol, metaclass=_FromModules):
    """A differentiable function with named parameters, in functional form. `Network.of(module)` makes one.

    Attributes:
        features: d, the number of columns that `apply` returns.
    """

    @property
    def features(self) -> int: ...

    def init(self, generator: torch.Generator) -> Params:
        """Fresh float32 parameters; the generator alone decides them."""
        ...

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, ...) -> (n, d)."""
        ...


class Algorithm(Protocol):
    """A meta-learner as pure functions on one task. What it adapts to (`fast`) is any tree of tensors.

    Attributes:
        name: registered name.
        network: what it trains.
        second_order: whether its meta-gradient differentiates through a gradient.
    """

    @property
    def name(self) -> str: ...

    @property
    def network(self) -> Any: ...

    @property
    def second_order(self) -> bool: ...

    def init(self, generator: torch.Generator) -> Params:
        """Meta-parameters: those of the network under their own names, and the algorithm's own under "meta."."""
        ...

    def adapt(self, params: Params, task: TensorTask) -> Any:
        """Learn from the support as at test time (`test_steps`, ...); reads no query field."""
        ...

    def logits(self, fast: Any, query_x: Tensor) -> Tensor:
        """(n_query, way) logits (classification) or (n_query, d) outputs (regression). Masked classes get -inf-like."""
        ...

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """The direction against which the optimiser steps, and metrics as scalars.

        For most algorithms the gradient of the query loss; for Reptile `params - fast`. Metrics are "loss",
        "accuracy" (classification only) and "diverged" (0 or 1).
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Every argument that decides the result, JSON-ready."""
        ...


@runtime_checkable
class Staged(Protocol):
    """An algorithm that changes in the course of its training; it is as at the end unless asked."""

    def at(self, progress: float) -> Algorithm:
        """The algorithm as it is when `progress` of the training, from 0 to below 1, is done.

        Executors that compile do so for every algorithm that differs: change in a few stages, not at every step.
        """
        ...


class Described:
    """Gives a dataclass `describe`: its name and every field, JSON-ready.

    Raises:
        UsageError: it is made of a torch module where it takes a network.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse a module, which would fail later and in other words."""
        for given in (*args, *kwargs.values()):
            if hasattr(given, "named_parameters"):
                raise UsageError(f"{cls.__name__} takes a network, not a module: Network.of(module) makes one of it")
        return super().__new__(cls)

    def describe(self) -> dict[str, Any]:
        """Name and constructor arguments."""
        assert is_dataclass(self)
        arguments = {each.name: getattr(self, each.name) for each in fields(self)}
        nested = {key: value.describe() if hasattr(value, "describe") else value for key, value in arguments.items()}
        return {"name": getattr(self, "name", type(self).__name__), **nested}


#: Prefix of the parameters that belong to an algorithm and not to its network.
OWN = "meta."


def network_params(params: Params) -> Params:
    """The parameters of the network among the meta-parameters."""
    return {name: value for name, value in params.items() if not name.startswith(OWN)}


def own_params(params: Params, prefix: str) -> Params:
    """The parameters of the algorithm itself whose names go on with `prefix`, without both prefixes."""
    full = OWN + prefix
    return {name.removeprefix(full): value for name, value in params.items() if name.startswith(full)}
