"""What second derivatives and batched tasks need from the surroundings, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def second_order() -> Iterator[None]:
    """Only kernels whose backward can itself be differentiated.

    Attention runs by the MATH backend ALONE: enabling it beside the others leaves flash attention chosen, whose
    backward has no derivative. cuDNN is off, since its recurrent layers have no second derivative either.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield


#: What is asked of a module, and the way out.
PURE = (
    "a network is a function of its parameters and of each row alone. Switch this off, by module.eval() where that "
    "does it, or leave the layer out"
)


def require_pure(module: nn.Module) -> None:
    """Refuse a module that is no function of its parameters and one row at a time.

    Batch norm in training mode mixes rows: its running statistics would learn from queries, and a query's answer would
    depend on the other queries. Dropout in training mode draws from the state of the process: every inner step would
    see another network, and no training could be repeated.

    Raises:
        UsageError: names the layer and the way out.
    """
    from torch import nn
    from torch.nn.parameter import is_lazy

    for name, layer in module.named_modules():
        this = f"layer {name!r} is" if name else "the module is"
        kind = type(layer).__name__
        if any(is_lazy(value) for value in (*layer.parameters(False), *layer.buffers(False))):
            raise UsageError(f"{this} {kind}, whose shape is still open. Call the module once on a few rows first")
        statistics = isinstance(layer, nn.modules.batchnorm._NormBase) and layer.track_running_stats
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            if layer.training or not statistics:
                raise UsageError(
                    f"{this} {kind} with batch statistics, so that queries see each other. Use LayerNorm or "
                    "GroupNorm, or freeze its statistics with module.eval()"
                )
        elif statistics and layer.training:
            raise UsageError(f"{this} {kind}, whose statistics change with every call: {PURE}")
        if layer.training and _draws(layer):
            raise UsageError(
                f"{this} {kind}, which draws at random: inner steps and queries would each see another network. "
                "Switch it off with module.eval()"
            )


def _draws(layer: nn.Module) -> bool:
    """Whether a layer in training mode draws at random."""
    from torch import nn

    if isinstance(layer, nn.RReLU):
        return True
    # Recurrent and attention layers keep the probability under `dropout`, dropout layers under `p`.
    chance = getattr(layer, "p" if isinstance(layer, nn.modules.dropout._DropoutNd) else "dropout", 0)
    return isinstance(chance, int | float) and chance > 0
