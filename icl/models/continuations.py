"""Continuations on a token trie: which tokens are run for them, and their log-probabilities collected afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from icl.models.base import ContinuationScore, ScoreRequest, ScoreResult
from icl.models.tokens import Tokenized
from icl.models.trie import TokenTrie


class Gather:
    """Collects the log-probabilities of `targets[i]` after `nodes[i]`, in whatever order nodes are read.

    Args:
        nodes, targets: per continuation, the nodes before its tokens, and its tokens.
    """

    def __init__(self, nodes: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> None:
        self._ends = np.cumsum([len(each) for each in nodes])
        self._nodes = np.concatenate([np.empty(0, np.int64), *nodes])
        self._targets = np.concatenate([np.empty(0, np.int64), *targets])
        self._values = np.full(len(self._nodes), np.nan, np.float32)

    @property
    def by_sequence(self) -> list[np.ndarray]:
        """Per continuation, (n_tokens,) log-probabilities."""
        return np.split(self._values, self._ends[:-1])

    def read(self, nodes: np.ndarray, logprobs: Any) -> None:
        import torch

        here = np.flatnonzero(np.isin(self._nodes, nodes))
        rows = torch.from_numpy(np.searchsorted(nodes, self._nodes[here]))
        columns = torch.from_numpy(self._targets[here].astype(np.int64))
        self._values[here] = logprobs[rows.to(logprobs.device), columns.to(logprobs.device)].cpu().numpy()


def trie_of(continuations: Sequence[Tokenized], prompts: Sequence[np.ndarray] = ()) -> TokenTrie:
    """The tokens to be read of continuations, then of prompts that nothing follows.

    Nothing is asked after a continuation's last token, so it is left out.
    """
    starts = [*(one.boundary - 1 for one in continuations), *(len(ids) - 1 for ids in prompts)]
    return TokenTrie.build([*(one.ids[:-1] for one in continuations), *prompts], starts)


def result_of(
    request: ScoreRequest, group: list[Tokenized], values: Iterator[np.ndarray], counts: Iterator[tuple[int, int]]
) -> ScoreResult:
    """The scores of one request.

    Args:
        group: its continuations, tokenised.
        values: log-probabilities (n_tokens,) of this and all later continuations; those of the group are taken.
        counts: likewise (tokens computed, tokens read) of each.
    """
    scores = tuple(
        ContinuationScore(
            tuple(sequence.ids[sequence.boundary :].tolist()),
            tuple(next(values).tolist()),
            len(continuation.encode("utf-8")),
            sequence.straddles,
        )
        for continuation, sequence in zip(request.continuations, group, strict=True)
    )
    spent = [next(counts) for _ in group]
    fresh = int(sum(n for n, _ in spent))
    return ScoreResult(scores, fresh, int(sum(n for _, n in spent)) - fresh)
