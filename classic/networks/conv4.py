"""Four blocks of convolution, normalisation, ReLU and pooling: the backbone of the few-shot literature.

Vinyals et al., NeurIPS 2016, arXiv 1606.04080. With GroupNorm where the paper has batch norm (see
`classic.networks.images`). MAML's own code for Omniglot takes strides of 2 in the place of pooling, which costs a
quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from classic.functional.base import Described
from classic.networks.images import PixelRows, conv_params, norm_params, normalized, prefixed, standardized
from classic.networks.text import unit
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params

_BLOCKS = 4


@dataclass(frozen=True)
class Conv4(Described):
    """x: (n, channels, size, size) pixels -> (n, features): the last map, flattened, of length 1.

    Args:
        filters: of every block.
        size: height and width that images are resized to; 84 for photographs in the literature.
        channels: 1 for grey, 3 for colours.
        pooling: "max" after every block, or "stride": convolutions with strides of 2 instead.
        unit: vectors of length 1, as frozen encoders give them; False for the map as it is, as in the papers.
    """

    filters: int = 64
    size: int = 28
    channels: int = 1
    pooling: Literal["max", "stride"] = "max"
    unit: bool = True
    name = "conv4"
    modality = "image"
    vectorizes = True
    lr = 1e-3

    def __post_init__(self) -> None:
        if self.pooling not in ("max", "stride"):
            raise UsageError(f"pooling {self.pooling!r} of conv4 is neither max nor stride")
        if self.pooling == "max" and self.size < 2**_BLOCKS:
            raise UsageError(f"conv4 halves its maps four times: size {self.size} is too small; use 16 or more")

    @property
    def features(self) -> int:
        """Columns of the result."""
        side = self.size
        for _ in range(_BLOCKS):
            side = side // 2 if self.pooling == "max" else (side + 1) // 2
        return self.filters * side**2

    def inputs(self) -> PixelRows:
        """Pixels."""
        return PixelRows(self.size, self.channels)

    def init(self, generator: torch.Generator) -> Params:
        """`<block>.conv.weight`, `<block>.norm.weight` and `<block>.norm.bias`."""
        params: Params = {}
        for block in range(_BLOCKS):
            inputs = self.filters if block else self.channels
            params |= prefixed(f"{block}.conv", conv_params(inputs, self.filters, 3, generator))
            params |= prefixed(f"{block}.norm", norm_params(self.filters))
        return params

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, channels, size, size) -> (n, features)."""
        from torch.nn.functional import conv2d, max_pool2d, relu

        maps = standardized(x, params["0.conv.weight"])
        stride = 1 if self.pooling == "max" else 2
        for block in range(_BLOCKS):
            maps = conv2d(maps, params[f"{block}.conv.weight"], stride=stride, padding=1)
            maps = normalized(maps, params[f"{block}.norm.weight"], params[f"{block}.norm.bias"])
            # ReLU after the pooling is the same as before it, on a quarter of the numbers.
            maps = relu(max_pool2d(maps, 2) if self.pooling == "max" else maps)
        features = maps.flatten(start_dim=-3)
        return unit(features) if self.unit else features
