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


def require_pure(module: nn.Module) -> None:
    """Refuse a module whose forward pass changes it, or that mixes the tasks or queries of a batch.

    Batch norm in training mode does both: its running statistics would learn from queries, and a query's answer would
    depend on the other queries. Dropout needs no refusal: executors draw it per task, and `module.eval()` switches it
    off.

    Raises:
        UsageError: names the layer and the way out.
    """
    from torch import nn

    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (layer.training or not layer.track_running_stats):
            raise UsageError(
                f"layer {name!r} is {type(layer).__name__} with batch statistics, so that queries see each other. Use "
                "LayerNorm or GroupNorm, or freeze its statistics with module.eval()"
            )
