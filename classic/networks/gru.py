"""A bidirectional GRU over subwords. Cho et al., EMNLP 2014, arXiv 1406.1078.

The cell is written out: cuDNN's has no second derivative and torch.func cannot map over it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.functional.base import Described
from classic.networks.text import Subwords, mean_over_tokens, token_mask, unit

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


@dataclass(frozen=True)
class TextGRU(Described):
    """x: (n, length) subword ids -> (n, 2 * hidden): states averaged over the tokens, of length 1.

    Args:
        dimension: columns of a subword embedding.
        hidden: columns of a state, per direction.
        vocabulary, max_length: of the tokenizer.
    """

    dimension: int = 96
    hidden: int = 96
    vocabulary: int = 4000
    max_length: int = 48
    name = "gru"
    vectorizes = True
    lr = 1e-3

    @property
    def features(self) -> int:
        """Columns of the result."""
        return 2 * self.hidden

    def inputs(self) -> Subwords:
        """Subwords learned from the training texts."""
        return Subwords(self.vocabulary, self.max_length)

    def init(self, generator: torch.Generator) -> Params:
        """`embedding`, and per direction `input` (3 hidden, dimension), `state` (3 hidden, hidden) and two biases."""
        import torch

        bound = self.hidden**-0.5

        def uniform(*shape: int) -> Tensor:
            return torch.empty(shape).uniform_(-bound, bound, generator=generator)

        params = {"embedding": torch.randn(self.vocabulary, self.dimension, generator=generator)}
        for way in ("forward", "backward"):
            params[f"{way}.input"] = uniform(3 * self.hidden, self.dimension)
            params[f"{way}.state"] = uniform(3 * self.hidden, self.hidden)
            params[f"{way}.input_bias"] = uniform(3 * self.hidden)
            params[f"{way}.state_bias"] = uniform(3 * self.hidden)
        return params

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, length) -> (n, features)."""
        import torch
        from torch.nn.functional import embedding

        mask = token_mask(x)
        vectors = embedding(x, params["embedding"])
        length = x.shape[-1]
        forward = self._run(params, "forward", vectors, mask, range(length))
        backward = self._run(params, "backward", vectors, mask, reversed(range(length)))
        return unit(mean_over_tokens(torch.cat([forward, backward], dim=-1), mask))

    def _run(self, params: Params, way: str, vectors: Tensor, mask: Tensor, order: Iterable[int]) -> Tensor:
        """(n, length, hidden) states of one direction; a state passes padding unchanged."""
        import torch
        from torch.nn.functional import linear

        given = linear(vectors, params[f"{way}.input"], params[f"{way}.input_bias"])
        state = vectors.new_zeros(*vectors.shape[:-2], self.hidden)
        states: dict[int, Tensor] = {}
        for at in order:
            held = linear(state, params[f"{way}.state"], params[f"{way}.state_bias"])
            reset_x, update_x, new_x = given[..., at, :].chunk(3, dim=-1)
            reset_h, update_h, new_h = held.chunk(3, dim=-1)
            update = torch.sigmoid(update_x + update_h)
            new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
            here = mask[..., at, None]
            state = here * ((1 - update) * new + update * state) + (1 - here) * state
            states[at] = state
        return torch.stack([states[at] for at in range(len(states))], dim=-2)
