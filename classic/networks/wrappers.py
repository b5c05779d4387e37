"""Mixed precision: the encoder computes in bfloat16 or float16, everything around it stays in float32.

Inner loops multiply small numbers by second derivatives; half precision loses them. So parameters, fast weights and
meta-gradients are float32, and only the forward pass of the encoder is not.
"""

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
