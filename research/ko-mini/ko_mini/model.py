"""The untrained model: a small Llama whose first layer looks back by fixed distances, which training may change.

What stood just before is what a token needs first of all, and finding that out by training takes long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

if TYPE_CHECKING:
    from torch import Tensor

#: The coordinate of the embeddings that is the same for every token: heads that look back by distance alone read it.
#: It moves all logits of a tied output layer by the same amount, which changes no probability.
_CONSTANT = 0
#: Its value, in standard deviations of the others.
_HEIGHT = 4.0
#: Base of the rotary positions. Large, so that a part of every head hardly turns over a whole prompt, and can compare
#: what is far apart.
_BASE = 100_000.0
#: How much a head prefers its distance to the next ones, in logits.
_SHARPNESS = 8.0


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Size:
    """The dimensions of the model.

    Attributes:
        layers, width, heads: of the transformer. inner: width of its feed-forward layers.
        vocabulary: entries of the tokenizer at most. context: tokens at most.
    """

    layers: int = 4
    width: int = 256
    heads: int = 4
    inner: int = 688
    vocabulary: int = 8000
    context: int = 1024


def untrained(size: Size, vocabulary: int, seed: int) -> Any:
    """A Llama of transformers with fresh weights; head h of its first layer looks h + 1 tokens back.

    Args:
        vocabulary: entries of the tokenizer. Ids 0 and 1 begin and end a text.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.context,
        rope_parameters={"rope_type": "default", "rope_theta": _BASE},
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    _look_back(model)
    return model


def _look_back(model: Any) -> None:
    """Let head h of the first layer look h + 1 tokens back."""
    import torch

    config, attention = model.config, model.model.layers[0].self_attn
    d = config.hidden_size // config.num_attention_heads
    spread = config.initializer_range
    # The coordinate after the layer's normalisation.
    read = _HEIGHT / math.sqrt(1 + _HEIGHT**2 / config.hidden_size)
    speeds = model.model.rotary_emb.inv_freq
    key = distance_key(speeds, d) / read
    with torch.no_grad():
        model.model.embed_tokens.weight[:, _CONSTANT] = _HEIGHT * spread
        for head in range(config.num_attention_heads):
            rows = slice(head * d, (head + 1) * d)
            attention.k_proj.weight[rows, _CONSTANT] = key
            attention.q_proj.weight[rows, _CONSTANT] = turned(key, -(head + 1) * speeds)


def distance_key(speeds: Tensor, d: int) -> Tensor:
    """(d,) a key that a query, the same but turned by a distance, finds at that distance alone."""
    key = (speeds > 0.05).float().repeat(2)
    gap = float((key[: d // 2] * 2 * (1 - speeds.cos())).sum()) / math.sqrt(d)
    return key * math.sqrt(_SHARPNESS / gap)


def turned(vector: Tensor, angles: Tensor) -> Tensor:
    """Rotate a vector as rotary position embeddings do: coordinate i with coordinate i + d / 2."""
    import torch

    one, other = vector.chunk(2)
    return torch.cat([one * angles.cos() - other * angles.sin(), other * angles.cos() + one * angles.sin()])
