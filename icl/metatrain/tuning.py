"""Which weights of a language model are trained: all, the last layers, or low-rank matrices beside the linear ones.

Low-rank adaptation: Hu et al., ICLR 2022, arXiv 2106.09685. Beside a weight (out, in) stand B (out, rank), at zero, and
A (rank, in); the layer uses W + (alpha / rank) B A. Afterwards the product is added for good: what is saved is an
ordinary model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fewshot.core.errors import UsageError
from fewshot.core.seeds import seed_of

if TYPE_CHECKING:
    from torch.nn import Parameter

#: alpha / rank of low-rank matrices.
_SCALE = 2.0
_WEIGHT = "weight"


def trainable(model: Any, tune: str, rank: int, seed: int) -> dict[str, Parameter]:
    """Set up a model for training, and return what is trained, by name.

    Args:
        tune: "full"; "lora"; or "last:N" for the last N layers. A model too large for one is never trained by another.
        rank: of low-rank matrices.
        seed: of their initial values.

    Raises:
        UsageError: an unknown way, or more layers than there are.
    """
    model.requires_grad_(tune == "full")
    if tune == "lora":
        for name, module in _linear(model).items():
            _add_low_rank(module, rank, seed_of(seed, name))
    elif tune.startswith("last:"):
        for layer in _last_layers(model, tune):
            layer.requires_grad_(True)
    elif tune != "full":
        raise UsageError(f"unknown way of tuning {tune!r}. Known: full, lora, last:N (the last N layers)")
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def merge(model: Any) -> None:
    """Add low-rank matrices to the weights beside which they stand, and take them away."""
    from torch.nn.utils import parametrize

    for module in list(model.modules()):
        if parametrize.is_parametrized(module, _WEIGHT):
            parametrize.remove_parametrizations(module, _WEIGHT, leave_parametrized=True)


def _linear(model: Any) -> dict[str, Any]:
    """The linear layers, by name, without the one that gives logits: it may share its weights with the embedding."""
    head = model.get_output_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and module is not head
    }


def _add_low_rank(module: Any, rank: int, seed: int) -> None:
    import torch
    from torch.nn.utils import parametrize

    class LowRank(torch.nn.Module):
        """W -> W + scale * B A."""

        def __init__(self, weight: torch.Tensor) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(seed)
            out, inner = weight.shape
            start = torch.randn(rank, inner, generator=generator) / inner**0.5
            self.a = torch.nn.Parameter(start.to(weight))
            self.b = torch.nn.Parameter(torch.zeros(out, rank).to(weight))

        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight + _SCALE * self.b @ self.a

    parametrize.register_parametrization(module, _WEIGHT, LowRank(module.weight))


def _last_layers(model: Any, tune: str) -> list[Any]:
    count = tune.removeprefix("last:")
    stacks = [module for module in model.modules() if type(module).__name__ == "ModuleList"]
    layers = list(max(stacks, key=len, default=()))
    if not re.fullmatch(r"[1-9]\d*", count) or int(count) > len(layers):
        raise UsageError(f"{tune!r} names no number of layers; this model has {len(layers)}")
    return layers[-int(count) :]
