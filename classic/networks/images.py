"""Rows of pixels for the networks that read images, and the parts that those networks share.

Every part treats each image by itself. Batch statistics do not: with them the answer to a query depends on the other
queries, as in the published code of MAML, which is transductive for that reason. GroupNorm stands in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evals.content import Content
from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from fewshot.core.images import as_image, pixels

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params

#: Channels of a group; a layer whose channels are no multiple of it is one group.
_GROUP = 8


class PixelRows:
    """Images as pixels, all of one size.

    Args:
        size: height and width. channels: 1 for grey, 3 for colours.
    """

    pad = None
    modality = "image"

    def __init__(self, size: int, channels: int) -> None:
        if channels not in (1, 3) or size < 1:
            raise UsageError(f"images have 1 or 3 channels and a size above 0, not channels={channels}, size={size}")
        self.size = size
        self.channels = channels
        self.blank: Content = as_image(np.zeros((1, 1), np.uint8))

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters: nothing is learned."""
        return digest(self.describe())

    def fit(self, texts: Sequence[str]) -> None:
        """Nothing to learn."""

    def rows(self, texts: Sequence[Content]) -> Tensor:
        """(len(texts), channels, size, size) uint8."""
        import torch

        return torch.from_numpy(pixels(texts, self.size, self.channels))

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": "pixels", "size": self.size, "channels": self.channels}

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""


def standardized(x: Tensor, like: Tensor) -> Tensor:
    """Pixels (n, channels, size, size) in the dtype of `like`: each image with mean 0 and deviation 1, all channels
    together, so that ink on paper and chalk on a board differ in sign alone. One of a single colour is 0."""
    values = x.to(like.dtype)
    centred = values - values.mean(dim=(-3, -2, -1), keepdim=True)
    return centred / (centred.square().mean(dim=(-3, -2, -1), keepdim=True) + 1e-6).sqrt()


def conv_params(inputs: int, outputs: int, width: int, generator: torch.Generator) -> Params:
    """`weight` (outputs, inputs, width, width) of a convolution without bias, as He et al. 2015 draw it."""
    import torch

    std = (2 / (outputs * width**2)) ** 0.5
    return {"weight": torch.randn(outputs, inputs, width, width, generator=generator) * std}


def norm_params(channels: int) -> Params:
    """`weight` and `bias` (channels,) of `normalized`."""
    import torch

    return {"weight": torch.ones(channels), "bias": torch.zeros(channels)}


def normalized(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(n, channels, h, w) normalised in groups of channels, image by image. Wu and He, ECCV 2018, arXiv 1803.08494."""
    from torch.nn.functional import group_norm

    return group_norm(x, x.shape[-3] // _GROUP if x.shape[-3] % _GROUP == 0 else 1, weight, bias)


def prefixed(name: str, params: Params) -> Params:
    """The parameters of a part under its name."""
    return {f"{name}.{key}": value for key, value in params.items()}
