"""Two layers that read demonstrations, built on top of a model that knows only what single texts say.

To read a demonstration is to find an earlier place like the present one, and to say what was said there. Two layers
work together for it: one tells every token what stood before it, and one finds. Neither pays without the other, so
training waits long for both (Olsson et al. 2022, arXiv 2209.11895), and a model that knows its texts well never needs
them (Chan et al. 2022, arXiv 2205.05055). So they are built. Everything they do is linear in what the last layer
before them gives, and is fitted by ridge regression: no gradient is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from fewshot.core.errors import UsageError
from ko_mini.model import distance_key, turned

if TYPE_CHECKING:
    from torch import Tensor

    from icl.metatrain.collation import Encoded

#: In logits: how much a prompt's end prefers answers to other places, and among those the ones whose texts the model
#: thinks of as of its own (or, half of the heads, the contrary), one standard deviation apart. It is small, so that
#: answers count about in proportion to what the model thinks of their texts, and the border between two classes stays
#: where the model knows it to be.
_PLACE, _LIKENESS = 12.0, 2.0
#: What a word that is found adds to its own logit, or takes from it where the text is unlike, in standard deviations of
#: the preference for one word over the other: enough for demonstrations that exchange the words.
_ANSWER = 6.0
#: What the layers below write is divided by this. The model stays the same, since every layer normalises what it reads;
#: but embeddings are no longer drowned, and which token stands where can be read off.
_QUIETER = 100.0
#: Of the regressions, in mean variances of the inputs; and of singular values that count in words' embeddings.
_RIDGE, _TOLERANCE = 1e-3, 1e-2


def deepened(model: Any, shown: Sequence[Encoded], words: tuple[int, int], seed: int) -> Any:
    """The model with two more layers, which answer as the demonstrations do that are most like the present text.

    In the first, every token looks at the one before it. In the second, the end of a prompt looks for the places that
    follow the end of a prompt, which are the answers. Half of the heads look for texts like its own, and say the words
    that stand there; the others look for texts unlike it, and speak against theirs. What is said more often than
    something else, whatever the text, so cancels out.

    Args:
        model: a Llama that was trained. It is left as it is.
        shown: sequences with answers.
        words: tokens of two label words that the model tells apart; texts of which it would say the same are alike.
        seed: of the directions in which the first new layer writes.

    Raises:
        UsageError: the two words begin alike, or the number of heads is odd.
    """
    import torch
    from transformers import LlamaForCausalLM

    if words[0] == words[1]:
        raise UsageError("the two label words begin with the same token: texts cannot be told apart by them")
    if model.config.num_attention_heads % 2:
        raise UsageError("half of the heads look for the like, half for the unlike: the number of heads must be even")
    config = deepcopy(model.config)
    config.num_hidden_layers += 2
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        taller: Any = LlamaForCausalLM(config).eval()
        taller.load_state_dict(model.state_dict(), strict=False)
        for layer in taller.model.layers:
            layer.self_attn.o_proj.weight /= _QUIETER
            layer.mlp.down_proj.weight /= _QUIETER
        telling, finding = taller.model.layers[-2:]
        for layer in (telling, finding):
            for part in (layer.self_attn.o_proj, layer.mlp.down_proj):
                part.weight.zero_()
        _build_telling(taller, telling, shown)
        _build_finding(taller, finding, shown, _opinions(model, shown, words))
    return taller


def _build_telling(model: Any, layer: Any, shown: Sequence[Encoded]) -> None:
    """Let every token add what the one before it says, turned by an orthogonal matrix so that it can be told apart."""
    import torch

    attention, d = layer.self_attn, model.config.head_dim
    read = torch.cat([state for state, _ in _states(model, layer, shown)])
    constant = _regression(read, torch.ones(len(read), 1))[0]
    speeds = model.model.rotary_emb.inv_freq
    key = distance_key(speeds, d)
    for head in range(model.config.num_attention_heads):
        rows = slice(head * d, (head + 1) * d)
        attention.k_proj.weight[rows] = torch.outer(key, constant)
        attention.q_proj.weight[rows] = torch.outer(turned(key, -speeds), constant)
    width = model.config.hidden_size
    attention.v_proj.weight.copy_(torch.eye(width))
    turn = torch.linalg.qr(torch.randn(width, width)).Q
    attention.o_proj.weight.copy_(turn * _length(model, shown))


def _build_finding(model: Any, layer: Any, shown: Sequence[Encoded], opinions: Sequence[Tensor]) -> None:
    """Let prompt ends look for answers to texts like and unlike theirs; say the words of the former, not the latter."""
    import torch

    attention, d, heads = layer.self_attn, model.config.head_dim, model.config.num_attention_heads
    states = _states(model, layer, shown)
    ends = [state[[span.start - 1 for span in each.answers]] for (state, _), each in zip(states, shown, strict=True)]
    leaning = torch.cat([found - found.mean() for found in opinions])
    query = _question(torch.cat(ends), leaning) * d**0.25
    wanted = [torch.zeros(len(state), len(query)) for state, _ in states]
    for found, texts, each in zip(wanted, ends, shown, strict=True):
        found[[span.start for span in each.answers]] = texts @ query.T
    read, answering = torch.cat([state for state, _ in states]), torch.cat(wanted)
    is_answer = answering.any(dim=1)
    # Answers count as much as all other places together.
    weight = torch.where(is_answer, (~is_answer).sum() / is_answer.sum(), 1.0).sqrt()[:, None]
    key = _regression(read * weight, answering * weight)
    # Coordinates of a head that hardly turn over a whole prompt, so that distance is no matter.
    slow = (model.model.rotary_emb.inv_freq < 1 / model.config.max_position_embeddings).repeat(2).nonzero()[:, 0]
    unlike = query * torch.tensor([[1.0], [-1.0]])
    for part, rows, others in ((attention.q_proj, query, unlike), (attention.k_proj, key, key)):
        part.weight.zero_()
        for head in range(heads):
            part.weight[head * d + slow[: len(rows)]] = rows if head < heads // 2 else others
    tokens = torch.cat([ids for _, ids in states])
    words = tokens[is_answer].unique()
    is_word = (tokens[:, None] == words) & is_answer[:, None]
    recognised = _regression(read * weight, is_word.float() * weight)
    # The hidden states each of which gives one of the words its logit, and the others none.
    heard = model.model.embed_tokens.weight[words] * model.model.norm.weight / _length(model, shown)
    answer = _ANSWER * leaning.std()
    out, sizes, into = torch.linalg.svd(torch.linalg.pinv(heard, rtol=_TOLERANCE) @ recognised * answer)
    # Either half of the heads has room for half of the directions: the larger ones.
    n = heads // 2 * d
    attention.v_proj.weight.copy_(torch.cat([into[:n], into[:n]]))
    attention.o_proj.weight.copy_(torch.cat([out[:, :n] * sizes[:n], -out[:, :n] * sizes[:n]], dim=1))


def _question(ends: Tensor, leaning: Tensor) -> Tensor:
    """(2, width) what the end of a prompt asks for: that there be an answer, and what the model thinks of the text."""
    import torch

    mean = ends.mean(dim=0)
    place = mean / mean.square().sum() * math.sqrt(_PLACE)
    alike = _regression(ends, (leaning / leaning.std())[:, None]) * math.sqrt(_LIKENESS)
    return torch.cat([place[None], alike])


def _opinions(model: Any, shown: Sequence[Encoded], words: tuple[int, int]) -> list[Tensor]:
    """Per sequence, by how much the model prefers the first word to the second after each text."""
    found = []
    for each in shown:
        logits = model(input_ids=_tokens(each)[None], use_cache=False).logits[0]
        at = [span.start - 1 for span in each.answers]
        found.append(logits[at, words[0]] - logits[at, words[1]])
    return found


def _states(model: Any, layer: Any, shown: Sequence[Encoded]) -> list[tuple[Tensor, Tensor]]:
    """Per sequence what a layer reads, normalised, and the tokens."""
    read: list[Tensor] = []
    handle = layer.input_layernorm.register_forward_hook(lambda *found: read.append(found[2][0]))
    try:
        for each in shown:
            model.model(input_ids=_tokens(each)[None], use_cache=False)
    finally:
        handle.remove()
    return [(state, _tokens(each)) for state, each in zip(read, shown, strict=True)]


def _length(model: Any, shown: Sequence[Encoded]) -> float:
    """Root mean square of the coordinates of the last hidden states, before the last normalisation."""
    import torch

    found: list[Tensor] = []
    handle = model.model.norm.register_forward_pre_hook(lambda _, given: found.append(given[0].square().mean()))
    try:
        for each in shown[:20]:
            model.model(input_ids=_tokens(each)[None], use_cache=False)
    finally:
        handle.remove()
    return float(torch.stack(found).mean().sqrt())


def _tokens(sequence: Encoded) -> Tensor:
    import torch

    return torch.from_numpy(sequence.ids.astype("int64"))


def _regression(inputs: Tensor, outputs: Tensor) -> Tensor:
    """(outputs, inputs) the matrix that maps inputs to outputs with the least squares, a little shrunken."""
    import torch

    gram = inputs.T @ inputs / len(inputs)
    gram += _RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    return torch.linalg.solve(gram, inputs.T @ outputs / len(inputs)).T
