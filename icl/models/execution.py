"""Four ways to run a token trie through a transformers model. All give the same log-probabilities.

trie        every node once: the shared beginning fills the key-value cache, its branches are packed into one
            sequence under a tree mask (tree attention as in SpecInfer, Miao et al. 2024)
prefix      every node once, branch by branch, each on a copy of the cache: for models that take no tree mask
plain       one full forward pass per different sequence: for models that have no cache, or one that is not right
reference   one full forward pass per sequence: slow and obvious, the oracle of the tests
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from icl.models.masks import TreeMasks
from icl.models.trie import TokenTrie

Execution = Literal["trie", "prefix", "reference"]

#: What is asked of a forward pass: given a model of transformers, its inputs and the rows wanted (k,), their values, a
#: float32 tensor with k rows, and the key-value cache.
Ask = Callable[[Any, dict[str, Any], Any], tuple[Any, Any]]
#: Takes nodes (k,) and what was asked for each of them.
Reader = Callable[[np.ndarray, Any], None]


def next_token_logprobs(model: Any, inputs: dict[str, Any], rows: Any) -> tuple[Any, Any]:
    """(k, vocabulary) log-probabilities of the next token, with vocabulary-sized rows for the wanted ones alone."""
    out, logprobs = _scored(model, inputs, rows)
    return logprobs, _cache_of(out)


def _scored(model: Any, inputs: dict[str, Any], rows: Any, **more: Any) -> tuple[Any, Any]:
    """A forward pass, and the log-probabilities of the next token after the wanted rows."""
    import torch

    few = "logits_to_keep" in _accepted(model)
    out = model(**inputs, **more, **({"logits_to_keep": rows} if few else {}))
    logits = out.logits[0] if few else out.logits[0, rows]
    return out, torch.log_softmax(logits.float(), dim=-1)


@dataclass(frozen=True)
class HiddenStates:
    """(k, n_layers, d) hidden states; the vocabulary is not touched.

    Args:
        layers: 0 is the token embedding, the last one is what the vocabulary is read from. Negative ones count from
            there.
    """

    layers: tuple[int, ...]

    def __call__(self, model: Any, inputs: dict[str, Any], rows: Any) -> tuple[Any, Any]:
        out = model.base_model(**inputs, output_hidden_states=True)
        return self.of(out, rows), _cache_of(out)

    def of(self, out: Any, rows: Any) -> Any:
        """(k, n_layers, d) states of a forward pass."""
        import torch

        return torch.stack([out.hidden_states[layer][0, rows].float() for layer in self.layers], dim=1)


@dataclass(frozen=True)
class LogprobsAndStates:
    """A pair of what `next_token_logprobs` and `HiddenStates` give."""

    layers: tuple[int, ...]

    def __call__(self, model: Any, inputs: dict[str, Any], rows: Any) -> tuple[Any, Any]:
        out, logprobs = _scored(model, inputs, rows, output_hidden_states=True)
        return (logprobs, HiddenStates(self.layers).of(out, rows)), _cache_of(out)


@dataclass
class TrieRunner:
    """Runs every node of a trie once, packed, and reads what is asked at the wanted nodes.

    Whole subtrees are packed into chunks. A subtree that outgrows a chunk is entered: its unbranched beginning joins
    the cache, its branches are packed in turn, and the cache is cropped again.

    Args:
        model: a causal language model of transformers.
        wanted: (m,) ascending nodes to read.
        chunk_tokens: most nodes in one forward pass; its memory is about 4 bytes * chunk_tokens * (2 * vocabulary +
            longest sequence + chunk_tokens), on top of the weights and one key-value cache.
        ask: what is read at the nodes.
        masks: in which the branches do not see each other.
    """

    model: Any
    trie: TokenTrie
    wanted: np.ndarray
    read: Reader
    chunk_tokens: int
    ask: Ask = next_token_logprobs
    masks: TreeMasks = field(default_factory=TreeMasks)
    _cache: Any = field(init=False)

    def run(self) -> None:
        from transformers import DynamicCache

        # Built without a config, it keeps every key in every layer, so that cropping is exact.
        self._cache = DynamicCache()
        self._forest(0, len(self.trie))

    def _forest(self, first: int, stop: int) -> None:
        """Run the subtrees in [first, stop), whose ancestors are all in the cache."""
        for root in self.trie.roots(first, stop):
            end = int(self.trie.end[root])
            if end - first > self.chunk_tokens:
                self._packed(first, root)
                first = root
            if end - root > self.chunk_tokens:
                self._enter(root)
                first = end
        self._packed(first, stop)

    def _enter(self, root: int) -> None:
        branches = self.trie.chain_end(root)
        for first in range(root, branches, self.chunk_tokens):
            stop = min(first + self.chunk_tokens, branches)
            # A chain in full attention is what models read anyway: without a mask their kernels are faster.
            self._forward(first, stop, self._masks(first, stop) if self.masks.windowed else None)
        self._forest(branches, int(self.trie.end[root]))
        self._cache.crop(root - branches)

    def _packed(self, first: int, stop: int) -> None:
        if first < stop:
            self._forward(first, stop, self._masks(first, stop))
            self._cache.crop(first - stop)

    def _masks(self, first: int, stop: int) -> Any:
        return self.masks.of(self.trie, first, stop, self._cache.get_seq_length(), self.model)

    def _forward(self, first: int, stop: int, mask: Any) -> None:
        nodes = self.wanted[slice(*np.searchsorted(self.wanted, [first, stop]))]
        inputs = _inputs(self.model, self.trie, range(first, stop), self._cache) | {"attention_mask": mask}
        values, _ = self.ask(self.model, inputs, _rows(nodes - first, self.model))
        if len(nodes):
            self.read(nodes, values)


def run_prefix(
    model: Any, trie: TokenTrie, wanted: np.ndarray, read: Reader, chunk_tokens: int, ask: Ask = next_token_logprobs
) -> None:
    """Run every node once, branch by branch, each branch on a copy of its ancestors' cache.

    Works wherever a model can be continued from its own cache: sliding windows and recurrent layers included.
    """

    def visit(first: int, stop: int, cache: Any) -> None:
        for root in trie.roots(first, stop):
            branch, branches = copy.deepcopy(cache), trie.chain_end(root)
            for start in range(root, branches, chunk_tokens):
                piece = range(start, min(start + chunk_tokens, branches))
                nodes = wanted[slice(*np.searchsorted(wanted, [piece.start, piece.stop]))]
                inputs = _inputs(model, trie, piece, branch)
                values, branch = ask(model, inputs, _rows(nodes - piece.start, model))
                if len(nodes):
                    read(nodes, values)
            visit(branches, int(trie.end[root]), branch)

    visit(0, len(trie), None)


def run_plain(
    model: Any, sequences: Sequence[np.ndarray], trie: TokenTrie, read: Reader, ask: Ask = next_token_logprobs
) -> np.ndarray:
    """Run every sequence from its start as in `run_reference`, equal ones once: for models without a cache that holds.

    Returns:
        (n_sequences,) tokens that were computed for each.
    """
    first: dict[bytes, int] = {}
    wanted = list(trie.tails)
    for at, sequence in enumerate(sequences):
        same = first.setdefault(sequence.tobytes(), at)
        wanted[same] = max(wanted[same], trie.tails[at], key=len)
    run_reference(model, [sequences[at] for at in first.values()], [wanted[at] for at in first.values()], read, ask)
    computed = np.zeros(len(sequences), np.int64)
    computed[list(first.values())] = [len(sequences[at]) for at in first.values()]
    return computed


def run_reference(
    model: Any,
    sequences: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    read: Reader,
    ask: Ask = next_token_logprobs,
) -> None:
    """Run every sequence from its start, alone and without a cache, and read its last nodes: those wanted of it."""
    for sequence, nodes in zip(sequences, wanted, strict=True):
        rows = _rows(np.arange(len(sequence) - len(nodes), len(sequence)), model)
        values, _ = ask(model, {"input_ids": _row(sequence, model), "use_cache": False}, rows)
        read(nodes, values)


def _inputs(model: Any, trie: TokenTrie, piece: range, cache: Any) -> dict[str, Any]:
    """A range of nodes as a model takes it, after what is cached."""
    inputs = {"input_ids": _row(trie.tokens[piece.start : piece.stop], model)}
    if "position_ids" in _accepted(model):
        inputs["position_ids"] = _row(trie.depth[piece.start : piece.stop], model)
    return {**inputs, "past_key_values": cache, "use_cache": True}


def _accepted(model: Any) -> Collection[str]:
    return inspect.signature(model.forward).parameters


def _cache_of(out: Any) -> Any:
    return getattr(out, "past_key_values", None)


def _rows(values: np.ndarray, model: Any) -> Any:
    import torch

    return torch.from_numpy(values.astype(np.int64)).to(model.device)


def _row(values: np.ndarray, model: Any) -> Any:
    return _rows(values, model)[None]
