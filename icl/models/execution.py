"""Three ways to run a token trie through a transformers model. All give the same log-probabilities.

    trie        every node once: the shared beginning fills the key-value cache, its branches are packed into one
                sequence under a tree mask (the "tree attention" of SpecInfer, Miao et al. 2024)
    prefix      the beginning shared by all sequences once, then sequence by sequence: for models that take no tree mask
    reference   one full forward pass per sequence: slow, obvious, the oracle of the tests
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from fewshot.core.errors import FewshotError
from icl.models.trie import TokenTrie

Execution = Literal["trie", "prefix", "reference"]

#: Takes nodes (k,), ascending, and the log-probabilities of the token after each of them, (k, vocabulary) float32.
Reader = Callable[[np.ndarray, Any], None]


class TrieRunner:
    """Runs every node of a trie once and reads the log-probabilities at the wanted nodes.

    Whole subtrees are packed into chunks. A subtree that outgrows a chunk is entered: its unbranched beginning joins
    the cache, its branches are packed in turn, and the cache is cropped again.

    Args:
        model: a causal language model of transformers.
        trie: what to run.
        wanted: (m,) ascending nodes to read.
        chunk_tokens: most nodes in one forward pass. Memory grows with chunk_tokens * (vocabulary + longest sequence).
    """

    def __init__(self, model: Any, trie: TokenTrie, wanted: np.ndarray, chunk_tokens: int, read: Reader) -> None:
        from transformers import DynamicCache

        self.model, self.trie, self.wanted, self.chunk_tokens, self.read = model, trie, wanted, chunk_tokens, read
        # Without a config every layer keeps all keys, so that cropping is exact.
        self.cache = DynamicCache()

    def run(self) -> None:
        self._forest(0, len(self.trie))

    def _forest(self, first: int, stop: int) -> None:
        """Run the subtrees in [first, stop), whose ancestors are in the cache."""
        for root in self.trie.roots(first, stop):
            end = int(self.trie.end[root])
            if end - first > self.chunk_tokens:
                self._chunk(first, root)
                first = root
            if end - root > self.chunk_tokens:
                self._enter(root)
                first = end
        self._chunk(first, stop)

    def _enter(self, root: int) -> None:
        branches = self.trie.chain_end(root)
        for first in range(root, branches, self.chunk_tokens):
            self._forward(first, min(first + self.chunk_tokens, branches), None)
        self._forest(branches, int(self.trie.end[root]))
        self._forget(branches - root)

    def _chunk(self, first: int, stop: int) -> None:
        if first < stop:
            self._forward(first, stop, self._mask(first, stop))
            self._forget(stop - first)

    def _forget(self, n: int) -> None:
        self.cache.crop(-n)

    def _mask(self, first: int, stop: int) -> Any:
        """(1, 1, stop - first, cached + stop - first), additive, so that sdpa and eager attention both take it."""
        import torch

        cached = self.cache.get_seq_length()
        dtype = self.model.dtype
        mask = torch.zeros(stop - first, cached + stop - first, dtype=dtype)
        mask[:, cached:].masked_fill_(~torch.from_numpy(self.trie.visible(first, stop)), torch.finfo(dtype).min)
        return mask[None, None].to(self.model.device)

    def _forward(self, first: int, stop: int, mask: Any) -> None:
        nodes = self.wanted[np.searchsorted(self.wanted, first) : np.searchsorted(self.wanted, stop)]
        logprobs = forward(
            self.model,
            self.trie.tokens[first:stop],
            self.trie.depth[first:stop],
            nodes - first,
            past_key_values=self.cache,
            attention_mask=mask,
        )
        if len(nodes):
            self.read(nodes, logprobs)


def forward(model: Any, tokens: np.ndarray, positions: np.ndarray, rows: np.ndarray, **kwargs: Any) -> Any:
    """One forward pass over one packed sequence; vocabulary-sized rows are made for `rows` alone.

    Returns:
        (len(rows), vocabulary) float32 log-probabilities of the token after each row.
    """
    import torch

    device = model.device
    logits = model(
        input_ids=torch.from_numpy(tokens.astype(np.int64))[None].to(device),
        position_ids=torch.from_numpy(positions.astype(np.int64))[None].to(device),
        logits_to_keep=torch.from_numpy(rows).to(device),
        use_cache=True,
        **kwargs,
    ).logits[0]
    return torch.log_softmax(logits.float(), dim=-1)
