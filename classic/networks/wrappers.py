"""Networks around a network: one that computes in mixed precision, one that scales what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from classic.functional.base import Described, Network

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


@dataclass(frozen=True)
class MixedPrecision(Described):
    """The network with its matrix products in `dtype`; what it returns is float32.

    Inner loops multiply small numbers by second derivatives, and half precision loses them: parameters, fast weights
    and meta-gradients stay float32, and only this forward pass does not.

    Args:
        network: the encoder.
        dtype: "bfloat16" or "float16".
    """

    network: Network
    dtype: Literal["bfloat16", "float16"] = "bfloat16"
    name = "mixed-precision"

    @property
    def features(self) -> int:
        """Columns of the result."""
        return self.network.features

    def init(self, generator: torch.Generator) -> Params:
        """Those of the network, float32."""
        return self.network.init(generator)

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """As the network."""
        import torch

        with torch.autocast(x.device.type, getattr(torch, self.dtype)):
            return self.network.apply(params, x).float()


@dataclass(frozen=True)
class Scaled(Described):
    """The network with its output multiplied by a number.

    For inner loops on vectors of length 1: a head needs large steps there to reach logits of any size, and the same
    steps tear the network below it apart. On vectors of length c the logits of the head grow c * c times as fast, so
    the inner step size can be small, and the network moves less than the head.

    Args:
        network: gives vectors of length about 1.
        factor: c.
    """

    network: Network
    factor: float
    name = "scaled"

    @property
    def features(self) -> int:
        """Columns of the result."""
        return self.network.features

    def init(self, generator: torch.Generator) -> Params:
        """Those of the network."""
        return self.network.init(generator)

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """As the network, times the factor."""
        return self.factor * self.network.apply(params, x)
