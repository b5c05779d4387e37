"""The untrained model, a small Llama whose first layer looks back by fixed distances, and the layers it is given later.

To read a demonstration is to find an earlier place like the present one, and to go on as it went on there. Two layers
have to work together for it: one that tells every token what stood before it, and one that finds. Neither pays without
the other, so training from random weights waits long for both (Olsson et al. 2022, arXiv 2209.11895). So they are built
in, and training begins where it would otherwise end: a model that has learned what texts say is `deepened` by such a
pair of layers. Training is free to change all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from icl.metatrain.collation import Encoded

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
#: What is built in at first, in logits: how much a prompt end prefers places after a prompt end to others, and among
#: those the ones with a text like its own, and what finding a label adds to its logit.
_PLACE, _LIKENESS, _ANSWER = 12.0, 3.0, 100.0
#: By how much embeddings are multiplied when layers are added, and what layers write is divided.
_LOUDER, _QUIETER = 1.0, 100.0
#: Of the regressions and of the discriminant, in mean variances of the inputs.
_RIDGE, _SHRINKAGE = 1e-5, 1e-2


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


def deepened(model: Any, shown: Sequence[Encoded], words: tuple[int, int], seed: int) -> Any:
    """The model with two more layers, which answer as the demonstrations do that are most like the present text.

    In the first, every token looks at the one before it. In the second, the end of a prompt looks for the places that
    follow the end of a prompt with a similar text, which are the answers, and adds the embeddings of what stands there.
    What either reads and writes is fitted by ridge regression to what the model makes of `shown`.

    Args:
        model: a Llama that was trained. It is left as it is.
        shown: sequences with answers.
        words: tokens of two label words that the model tells apart; texts of which it would say the same are alike.
        seed: of the directions in which the first new layer writes.

    Raises:
        UsageError: the two words begin alike.
    """
    import torch
    from transformers import LlamaForCausalLM

    if words[0] == words[1]:
        raise UsageError("the two label words begin with the same token: texts cannot be told apart by them")
    config = deepcopy(model.config)
    config.num_hidden_layers += 2
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        taller = LlamaForCausalLM(config).eval()
        taller.load_state_dict(model.state_dict(), strict=False)
        _make_tokens_readable(taller)
        telling, finding = taller.model.layers[-2:]
        for layer in (telling, finding):
            for part in (layer.self_attn.o_proj, layer.mlp.down_proj):
                part.weight.zero_()
        _build_telling(taller, telling, shown)
        _build_finding(taller, finding, shown, _opinions(model, shown, words))
    return taller


def _make_tokens_readable(model: Any) -> None:
    """Raise embeddings over what layers add to them, among which they are lost. The logits hardly change."""
    model.model.embed_tokens.weight *= _LOUDER
    model.model.norm.weight /= _LOUDER
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight /= _QUIETER
        layer.mlp.down_proj.weight /= _QUIETER


def _build_telling(model: Any, layer: Any, shown: Sequence[Encoded]) -> None:
    """Let every token add what the one before it says, turned by an orthogonal matrix so that it can be told apart."""
    import torch

    attention, d = layer.self_attn, model.config.head_dim
    read = torch.cat([state for state, _ in _states(model, layer, shown)])
    constant = _regression(read, torch.ones(len(read), 1))[0]
    speeds = model.model.rotary_emb.inv_freq
    key = _distance_key(speeds, d)
    for head in range(model.config.num_attention_heads):
        rows = slice(head * d, (head + 1) * d)
        attention.k_proj.weight[rows] = torch.outer(key, constant)
        attention.q_proj.weight[rows] = torch.outer(_turned(key, -speeds), constant)
    width = model.config.hidden_size
    attention.v_proj.weight.copy_(torch.eye(width))
    turn = torch.linalg.qr(torch.randn(width, width)).Q
    attention.o_proj.weight.copy_(turn * _length(model, shown))


def _build_finding(model: Any, layer: Any, shown: Sequence[Encoded], opinions: Sequence[Tensor]) -> None:
    """Let prompt ends look for what follows prompt ends like them, and add the embeddings of the tokens there."""
    import torch

    attention, d, n_heads = layer.self_attn, model.config.head_dim, model.config.num_attention_heads
    states = _states(model, layer, shown)
    # Coordinates of a head that hardly turn over a whole prompt, so that distance is no matter.
    slow = (model.model.rotary_emb.inv_freq < 1 / model.config.max_position_embeddings).repeat(2).nonzero()[:, 0]
    ends = [state[[span.start - 1 for span in each.answers]] for (state, _), each in zip(states, shown, strict=True)]
    together = torch.cat(ends)
    mean = together.mean(dim=0)
    place = mean / mean.square().sum() * math.sqrt(_PLACE)
    leaning = torch.cat([found - found.mean() for found in opinions])
    alike = _regression(together, (leaning / leaning.std())[:, None]) * math.sqrt(_LIKENESS)
    query = torch.cat([place[None], alike]) * d**0.25
    wanted = [torch.zeros(len(state), len(query)) for state, _ in states]
    for found, texts, each in zip(wanted, ends, shown, strict=True):
        found[[span.start for span in each.answers]] = texts @ query.T
    read, answering = torch.cat([state for state, _ in states]), torch.cat(wanted)
    is_answer = answering.any(dim=1)
    weight = torch.where(is_answer, (~is_answer).sum() / is_answer.sum(), 1.0).sqrt()[:, None]
    key = _regression(read * weight, answering * weight)
    for head in range(n_heads):
        attention.q_proj.weight[head * d : (head + 1) * d] = 0
        attention.k_proj.weight[head * d : (head + 1) * d] = 0
        attention.q_proj.weight[head * d + slow[: len(query)]] = query
        attention.k_proj.weight[head * d + slow[: len(query)]] = key
    tokens = torch.cat([ids for _, ids in states])
    words = tokens[is_answer].unique()
    is_word = (tokens[:, None] == words) & is_answer[:, None]
    recognised = _regression(read * weight, is_word.float() * weight)
    # A hidden state that gives one word its logit, and the others none.
    loud = model.model.embed_tokens.weight[words] * model.model.norm.weight / _length(model, shown)
    said = torch.linalg.pinv(loud, rtol=1e-2)
    copying = said @ recognised * _ANSWER
    attention.v_proj.weight.copy_(torch.eye(model.config.hidden_size))
    attention.o_proj.weight.copy_(copying)


def _opinions(model: Any, shown: Sequence[Encoded], words: tuple[int, int]) -> list[Tensor]:
    """Per sequence, by how much the model prefers the first word to the second after each text."""
    import torch

    found = []
    for each in shown:
        logits = model(input_ids=torch.from_numpy(each.ids.astype("int64"))[None], use_cache=False).logits[0]
        at = [span.start - 1 for span in each.answers]
        found.append(logits[at, words[0]] - logits[at, words[1]])
    return found


def _states(model: Any, layer: Any, shown: Sequence[Encoded]) -> list[tuple[Tensor, Tensor]]:
    """Per sequence what a layer reads, normalised, and the tokens."""
    import torch

    read: list[Tensor] = []
    handle = layer.input_layernorm.register_forward_hook(lambda *found: read.append(found[2][0]))
    try:
        for each in shown:
            model.model(input_ids=torch.from_numpy(each.ids.astype("int64"))[None], use_cache=False)
    finally:
        handle.remove()
    return [(state, torch.from_numpy(each.ids.astype("int64"))) for state, each in zip(read, shown, strict=True)]


def _length(model: Any, shown: Sequence[Encoded]) -> float:
    """Root mean square of the coordinates of the last hidden states, before the last normalisation."""
    import torch

    found: list[Tensor] = []
    handle = model.model.norm.register_forward_pre_hook(lambda _, given: found.append(given[0].square().mean()))
    try:
        for each in shown[:20]:
            model.model(input_ids=torch.from_numpy(each.ids.astype("int64"))[None], use_cache=False)
    finally:
        handle.remove()
    return float(torch.stack(found).mean().sqrt())


def _regression(inputs: Tensor, outputs: Tensor) -> Tensor:
    """(outputs, inputs) the matrix that maps inputs to outputs with the least squares, a little shrunken."""
    import torch

    gram = inputs.T @ inputs / len(inputs)
    gram += _RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    return torch.linalg.solve(gram, inputs.T @ outputs / len(inputs)).T


def _look_back(model: Any) -> None:
    """Let head h of the first layer look h + 1 tokens back."""
    import torch

    config, attention = model.config, model.model.layers[0].self_attn
    d = config.hidden_size // config.num_attention_heads
    spread = config.initializer_range
    # The coordinate after the layer's normalisation.
    read = _HEIGHT / math.sqrt(1 + _HEIGHT**2 / config.hidden_size)
    speeds = model.model.rotary_emb.inv_freq
    key = _distance_key(speeds, d) / read
    with torch.no_grad():
        model.model.embed_tokens.weight[:, _CONSTANT] = _HEIGHT * spread
        for head in range(config.num_attention_heads):
            rows = slice(head * d, (head + 1) * d)
            attention.k_proj.weight[rows, _CONSTANT] = key
            attention.q_proj.weight[rows, _CONSTANT] = _turned(key, -(head + 1) * speeds)


def _distance_key(speeds: Tensor, d: int) -> Tensor:
    """(d,) a key that a query, the same but turned by a distance, finds at that distance alone."""
    key = (speeds > 0.05).float().repeat(2)
    gap = float((key[: d // 2] * 2 * (1 - speeds.cos())).sum()) / math.sqrt(d)
    return key * math.sqrt(_SHARPNESS / gap)


def _turned(vector: Tensor, angles: Tensor) -> Tensor:
    """Rotate a vector as rotary position embeddings do: coordinate i with coordinate i + d / 2."""
    import torch

    one, other = vector.chunk(2)
    return torch.cat([one * angles.cos() - other * angles.sin(), other * angles.cos() + one * angles.sin()])
