"""The examples that share the query's rare words: BM25.

Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", in Lucene's form, as a matrix of
what each text gains by each token (Lu 2024, arXiv 2407.03618).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from evals.content import whole_text
from evals.types import Query
from fewshot.core.errors import UsageError
from icl.parts import between
from icl.selectors.base import Pick, Pool, most_similar
from icl.selectors.by_class import ClassSelector

_WORD = re.compile(r"\w+")
#: From the first letter of Hangul on: scripts whose words are not divided by spaces, or carry their particles.
_UNDIVIDED = "\u1100"


@dataclass(frozen=True)
class BM25(ClassSelector):
    """The M examples with the highest score, highest first; ties, and examples that share no word, as in the pool.

    Words are compared whole, without regard to case; Korean, Chinese and Japanese ones by their pairs of characters.

    Args:
        k1: how soon repeating a word stops counting. b: how much long texts are held back, 0 to 1.
    """

    name = "bm25"

    k1: float = 1.5
    b: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (between(self.k1, 0) and between(self.b, 0, 1)):
            raise UsageError(f"bm25:k1={self.k1},b={self.b}: k1 is 0 or more, and b is between 0 and 1")

    @property
    def by_query(self) -> bool:
        return True

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        if m == 0:
            return [[] for _ in queries]
        return [
            most_similar(self._scores(query, pool.whole)[pool.rows], pool, m, twins)
            for query, twins in zip(queries, excluded, strict=True)
        ]

    def _scores(self, query: Query, pool: Pool) -> np.ndarray:
        """(n_pool,) of the whole pool; all 0 where no word of the query is in it."""
        if pool not in self._indexed:
            self._indexed[pool] = _index(pool.texts, self.k1, self.b)
        vocabulary, weights = self._indexed[pool]
        known = [vocabulary[token] for token in tokens(whole_text(query)) if token in vocabulary]
        return weights[known].sum(axis=0)

    @cached_property
    def _indexed(self) -> WeakKeyDictionary[Pool, tuple[dict[str, int], Any]]:
        return WeakKeyDictionary()


def _index(texts: Sequence[str], k1: float, b: float) -> tuple[dict[str, int], Any]:
    """The row of every token, and what each text gains by it: (n_tokens, n_texts) CSR."""
    from scipy.sparse import csr_array

    vocabulary: dict[str, int] = {}
    counts = [Counter(vocabulary.setdefault(token, len(vocabulary)) for token in tokens(text)) for text in texts]
    rows = np.array([row for each in counts for row in each], np.int64)
    columns = np.repeat(np.arange(len(texts)), [len(each) for each in counts])
    often = np.array([times for each in counts for times in each.values()], np.float64)
    lengths = np.array([each.total() for each in counts])
    containing = np.bincount(rows, minlength=len(vocabulary))
    rarity = np.log(1 + (len(texts) - containing + 0.5) / (containing + 0.5))
    held_back = k1 * (1 - b + b * lengths / max(1e-9, lengths.mean()))
    gains = rarity[rows] * often / (often + held_back[columns])
    return vocabulary, csr_array((gains, (rows, columns)), shape=(len(vocabulary), len(texts)))


def tokens(text: str) -> Iterator[str]:
    """What BM25 counts."""
    for word in _WORD.findall(unicodedata.normalize("NFC", text).casefold()):
        if len(word) > 1 and max(word) >= _UNDIVIDED:
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield word
