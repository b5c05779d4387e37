"""Token tries: what sequences share is run through the model once.

The nodes stand in depth-first order, so a subtree is a range of nodes and "is an ancestor of" is two comparisons:
node j is an ancestor of i, or i itself, exactly if `j <= i < end[j]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TokenTrie:
    """Sequences of token ids, with common beginnings merged.

    Attributes:
        tokens: (n_nodes,) token ids, depth first.
        depth: (n_nodes,) position of a node in its sequences, from 0.
        end: (n_nodes,) one past the last node of the subtree.
        tails: per sequence, the nodes at its positions from the given start on.
        fresh: (n_sequences,) nodes that each sequence adds to those sorted before it. They sum to n_nodes.
    """

    tokens: np.ndarray
    depth: np.ndarray
    end: np.ndarray
    tails: tuple[np.ndarray, ...]
    fresh: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def build(cls, sequences: Sequence[np.ndarray], starts: Sequence[int]) -> TokenTrie:
        """Merge sequences.

        Args:
            sequences: (length,) int32 token ids each, none empty.
            starts: per sequence, the first position whose node `tails` names.
        """
        # Big-endian bytes sort as the tokens do, so neighbours share the longest beginnings.
        order = sorted(range(len(sequences)), key=lambda i: sequences[i].astype(">u4").tobytes())
        tokens: list[np.ndarray] = []
        depth: list[np.ndarray] = []
        tails: list[np.ndarray] = [np.empty(0, np.int64)] * len(sequences)
        fresh = np.zeros(len(sequences), np.int64)
        n_nodes = 0
        path = np.empty(0, np.int64)
        previous = np.empty(0, np.int32)
        for i in order:
            sequence = sequences[i]
            shared = common_prefix(previous, sequence)
            fresh[i] = len(sequence) - shared
            path = np.concatenate([path[:shared], np.arange(n_nodes, n_nodes + fresh[i])])
            tokens.append(sequence[shared:])
            depth.append(np.arange(shared, len(sequence)))
            tails[i] = path[starts[i] :]
            n_nodes += int(fresh[i])
            previous = sequence
        depths = _concatenate(depth)
        return cls(_concatenate(tokens), depths, _subtree_ends(depths), tuple(tails), fresh)

    def roots(self, first: int, stop: int) -> Iterator[int]:
        """The roots of the subtrees that fill the range [first, stop)."""
        node = first
        while node < stop:
            yield node
            node = int(self.end[node])

    def chain_end(self, node: int) -> int:
        """One past the last node of the unbranched chain that begins at `node`."""
        while node + 1 < self.end[node] and self.end[node + 1] == self.end[node]:
            node += 1
        return node + 1

    def visible(self, first: int, stop: int) -> np.ndarray:
        """(stop - first, stop - first) bool: whether a row's node has the column's node as an ancestor or is it."""
        nodes = np.arange(first, stop)
        return (nodes[None, :] <= nodes[:, None]) & (nodes[:, None] < self.end[None, first:stop])


def common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    """Length of the longest common beginning of two sequences."""
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if len(different) else n


def _subtree_ends(depth: np.ndarray) -> np.ndarray:
    """For every node in depth-first order, the next node that is not deeper, or the number of nodes."""
    ends = np.full(len(depth), len(depth), np.int64)
    open_nodes: list[int] = []
    for node, level in enumerate(depth.tolist()):
        while len(open_nodes) > level:
            ends[open_nodes.pop()] = node
        open_nodes.append(node)
    return ends


def _concatenate(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
