"""A convolutional network over subwords with max-pooling. Kim, EMNLP 2014, arXiv 1408.5882; without dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.functional.base import Described
from classic.networks.text import Subwords, token_mask, unit

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


@dataclass(frozen=True)
class TextCNN(Described):
    """x: (n, length) subword ids -> (n, filters * len(widths)), of length 1.

    Args:
        dimension: columns of a subword embedding.
        filters: per width.
        widths: subwords that a filter sees.
        vocabulary, max_length: of the tokenizer.
    """

    dimension: int = 96
    filters: int = 64
    widths: tuple[int, ...] = (1, 2, 3)
    vocabulary: int = 4000
    max_length: int = 64
    name = "cnn"
    vectorizes = True
    lr = 1e-3

    @property
    def features(self) -> int:
        """Columns of the result."""
        return self.filters * len(self.widths)

    def inputs(self) -> Subwords:
        """Subwords learned from the training texts."""
        return Subwords(self.vocabulary, self.max_length)

    def init(self, generator: torch.Generator) -> Params:
        """`embedding`, and `conv<width>.weight` (filters, dimension, width) and `.bias` for each width."""
        import torch

        params = {"embedding": torch.randn(self.vocabulary, self.dimension, generator=generator)}
        for width in self.widths:
            bound = (self.dimension * width) ** -0.5
            weight = torch.empty(self.filters, self.dimension, width)
            params[f"conv{width}.weight"] = weight.uniform_(-bound, bound, generator=generator)
            params[f"conv{width}.bias"] = torch.zeros(self.filters)
        return params

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, length) -> (n, features)."""
        import torch
        from torch.nn.functional import conv1d, embedding, pad, relu

        mask = token_mask(x)
        # Padding embeds to zero, as beyond the edges of the text.
        channels = (embedding(x, params["embedding"]) * mask[..., None]).transpose(-1, -2)
        found = []
        for width in self.widths:
            weight, bias = params[f"conv{width}.weight"], params[f"conv{width}.bias"]
            active = relu(conv1d(pad(channels, (0, width - 1)), weight, bias)) * mask[..., None, :]
            found.append(active.amax(dim=-1))
        return unit(torch.cat(found, dim=-1))
