"""A small transformer encoder, trained from scratch. Vaswani et al. 2017, arXiv 1706.03762; layer norm first.

Attention is written out: fused kernels have no second derivative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.functional.base import Described
from classic.networks.mlp import linear_params
from classic.networks.text import Subwords, mean_over_tokens, token_mask, unit
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


@dataclass(frozen=True)
class TextTransformer(Described):
    """x: (n, length) subword ids -> (n, features): the last layer averaged over the tokens, of length 1.

    Args:
        features: width of the model.
        layers: number of blocks.
        heads: attention heads per block; they divide the width.
        vocabulary, max_length: of the tokenizer.

    Raises:
        UsageError: the heads do not divide the width.
    """

    features: int = 128
    layers: int = 2
    heads: int = 4
    vocabulary: int = 4000
    max_length: int = 64
    name = "transformer"
    vectorizes = True
    lr = 1e-3

    def __post_init__(self) -> None:
        if self.features % self.heads:
            raise UsageError(f"features={self.features} cannot be split into heads={self.heads} of equal width")

    def inputs(self) -> Subwords:
        """Subwords learned from the training texts."""
        return Subwords(self.vocabulary, self.max_length)

    def init(self, generator: torch.Generator) -> Params:
        """`embedding`, `position`, and per block two layer norms and the linear layers `qkv`, `out`, `up`, `down`."""
        import torch

        d = self.features
        params = {
            "embedding": torch.randn(self.vocabulary, d, generator=generator) / d**0.5,
            "position": torch.randn(self.max_length, d, generator=generator) / d**0.5 / 10,
        }
        shapes = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
        for block in range(self.layers):
            for norm in ("norm1", "norm2"):
                params |= {f"{block}.{norm}.weight": torch.ones(d), f"{block}.{norm}.bias": torch.zeros(d)}
            for name, (inputs, outputs) in shapes.items():
                layer = linear_params(inputs, outputs, generator)
                params |= {f"{block}.{name}.{key}": value for key, value in layer.items()}
        return params

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, length) -> (n, features)."""
        from torch.nn.functional import embedding, gelu, layer_norm, linear

        mask = token_mask(x)
        hidden = embedding(x, params["embedding"]) + params["position"][: x.shape[-1]]

        def layer(name: str, values: Tensor) -> Tensor:
            return linear(values, params[f"{name}.weight"], params[f"{name}.bias"])

        def normed(name: str, values: Tensor) -> Tensor:
            return layer_norm(values, (self.features,), params[f"{name}.weight"], params[f"{name}.bias"])

        for block in range(self.layers):
            queries_keys_values = layer(f"{block}.qkv", normed(f"{block}.norm1", hidden))
            hidden = hidden + layer(f"{block}.out", self._attend(queries_keys_values, mask))
            hidden = hidden + layer(f"{block}.down", gelu(layer(f"{block}.up", normed(f"{block}.norm2", hidden))))
        return unit(mean_over_tokens(hidden, mask))

    def _attend(self, queries_keys_values: Tensor, mask: Tensor) -> Tensor:
        """(n, length, 3 features) -> (n, length, features); padding is not attended to."""
        split = queries_keys_values.unflatten(-1, (3, self.heads, -1))
        queries, keys, values = (split[..., part, :, :].transpose(-2, -3) for part in range(3))
        scores = queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5
        # A large number, not infinity: a text without tokens has no key at all, and must not become NaN.
        weights = (scores - 1e9 * (1 - mask)[..., None, None, :]).softmax(dim=-1)
        return (weights @ values).transpose(-2, -3).flatten(start_dim=-2)
