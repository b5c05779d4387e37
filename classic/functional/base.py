"""The functional core's contract: an algorithm is pure functions on one task; executors run many tasks at once.

params --adapt(support)--> fast --logits(query)--> (n_query, way)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

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


class Network(Protocol):
    """A differentiable function with named parameters, in functional form."""

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
    """

    name: str
    network: Network

    def init(self, generator: torch.Generator) -> Params:
        """Meta-parameters: those of the network and the algorithm's own (step sizes, temperature, ...)."""
        ...

    def adapt(self, params: Params, task: TensorTask) -> Any:
        """Learn from the support; reads no query field."""
        ...

    def logits(self, fast: Any, query_x: Tensor) -> Tensor:
        """(n_query, way) logits (classification) or (n_query, d) outputs (regression). Masked classes get -inf-like."""
        ...

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """The direction against which the optimiser steps, and metrics ("loss", "accuracy") as scalars.

        For most algorithms the gradient of the query loss; for Reptile `params - fast`.
        """
        ...
