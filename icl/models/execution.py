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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from icl.models.trie import TokenTrie

Execution = Literal["trie", "prefix", "reference"]

#: Takes nodes (k,) and the log-probabilities of the token after each of them: (k, vocabulary) float32 tensor.
Reader = Callable[[np.ndarray, Any], None]


@dataclass
class TrieRunner:
    """Runs every node of a trie once, packed, and reads the log-probabilities at the wanted nodes.

    Whole subtrees are packed into chunks. A subtree that outgrows a chunk is entered: its unbranched beginning joins
    the cache, its branches are packed in turn, and the cache is cropped again.

    Args:
        model: a causal language model of transformers.
        wanted: (m,) ascending nodes to read.
        chunk_tokens: most nodes in one forward pass; its memory is about 4 bytes * chunk_tokens * (2 * vocabulary +
            longest sequence + chunk_tokens), on top of the weights and one key-value cache.
    """

    model: Any
    trie: TokenTrie
    wanted: np.ndarray
    read: Reader
    chunk_tokens: int
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
            self._forward(first, min(first + self.chunk_tokens, branches), None)
        self._forest(branches, int(self.trie.end[root]))
        self._cache.crop(root - branches)

    def _packed(self, first: int, stop: int) -> None:
        if first < stop:
            self._forward(first, stop, self._mask(first, stop))
            self._cache.crop(first - stop)

    def _mask(self, first: int, stop: int) -> Any:
        """(1, 1, stop - first, cached + stop - first), additive: the form that both sdpa and eager attention take."""
        import torch

        cached = self._cache.get_seq_length()
        mask = torch.zeros(stop - first, cached + stop - first, dtype=self.model.dtype)
        hidden = ~torch.from_numpy(self.trie.visible(first, stop))
        mask[:, cached:].masked_fill_(hidden, torch.finfo(mask.dtype).min)
        return mask[None, None].to(self.model.device)

    def _forward(self, first: int, stop: int, mask: Any) -> None:
        nodes = self.wanted[slice(*np.searchsorted(self.wanted, [first, stop]))]
        logprobs, _ = forward(self.model, self.trie, range(first, stop), nodes, self._cache, attention_mask=mask)
        if len(nodes):
            self.read(nodes, logprobs)


def run_prefix(model: Any, trie: TokenTrie, wanted: np.ndarray, read: Reader, chunk_tokens: int) -> None:
    """Run every node once, branch by branch, each branch on a copy of its ancestors' cache.

    Works wherever a model can be continued from its own cache: sliding windows and recurrent layers included.
    """

    def visit(first: int, stop: int, cache: Any) -> None:
        for root in trie.roots(first, stop):
            branch, branches = copy.deepcopy(cache), trie.chain_end(root)
            for start in range(root, branches, chunk_tokens):
                piece = range(start, min(start + chunk_tokens, branches))
                nodes = wanted[slice(*np.searchsorted(wanted, [piece.start, piece.stop]))]
                logprobs, branch = forward(model, trie, piece, nodes, branch)
                if len(nodes):
                    read(nodes, logprobs)
            visit(branches, int(trie.end[root]), branch)

    visit(0, len(trie), None)


def run_plain(model: Any, sequences: Sequence[np.ndarray], trie: TokenTrie, read: Reader) -> np.ndarray:
    """Run every sequence from its start as in `run_reference`, equal ones once: for models without a cache that holds.

    Returns:
        (n_sequences,) tokens that were computed for each.
    """
    first: dict[bytes, int] = {}
    wanted = list(trie.tails)
    for at, sequence in enumerate(sequences):
        same = first.setdefault(sequence.tobytes(), at)
        wanted[same] = max(wanted[same], trie.tails[at], key=len)
    run_reference(model, [sequences[at] for at in first.values()], [wanted[at] for at in first.values()], read)
    computed = np.zeros(len(sequences), np.int64)
    computed[list(first.values())] = [len(sequences[at]) for at in first.values()]
    return computed


def run_reference(model: Any, sequences: Sequence[np.ndarray], wanted: Sequence[np.ndarray], read: Reader) -> None:
    """Run every sequence from its start, alone and without a cache, and read its last nodes: those wanted of it."""
    import torch

    for sequence, nodes in zip(sequences, wanted, strict=True):
        ids = torch.from_numpy(sequence.astype(np.int64))[None].to(model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, len(sequence) - len(nodes) :]
        read(nodes, torch.log_softmax(logits.float(), dim=-1))


def forward(model: Any, trie: TokenTrie, piece: range, nodes: np.ndarray, cache: Any, **masks: Any) -> tuple[Any, Any]:
    """One forward pass over a range of nodes, with vocabulary-sized rows for the wanted ones alone.

    Returns:
        (len(nodes), vocabulary) float32 log-probabilities, and the cache with the range added.
    """
    import torch

    accepted = inspect.signature(model.forward).parameters
    rows = torch.from_numpy(nodes - piece.start).to(model.device)
    inputs: dict[str, Any] = {"input_ids": _row(trie.tokens[piece.start : piece.stop], model)}
    if "position_ids" in accepted:
        inputs["position_ids"] = _row(trie.depth[piece.start : piece.stop], model)
    if "logits_to_keep" in accepted:
        inputs["logits_to_keep"] = rows
    out = model(**inputs, past_key_values=cache, use_cache=True, **masks)
    logits = out.logits[0] if "logits_to_keep" in accepted else out.logits[0, rows]
    return torch.log_softmax(logits.float(), dim=-1), out.past_key_values


def _row(values: np.ndarray, model: Any) -> Any:
    import torch

    return torch.from_numpy(values.astype(np.int64))[None].to(model.device)
