"""TF-IDF of words and character n-grams: no model, no training, any language."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_WORD = re.compile(r"\w+")
#: Columns that n-grams are hashed into. With 100,000 distinct n-grams one in ten shares its column.
_N_COLUMNS = 2**20
_NO_COLUMNS, _NO_COUNTS = np.empty(0, np.int32), np.empty(0, np.float32)
_VERSION = 1


class Lexical:
    """TF-IDF vectors over words and the characters inside words.

    Features are hashed, so the vocabulary is open: an n-gram that the corpus of `fit` lacks counts as the rarest, which
    matters when a support text holds words that no background text had. Before `fit`, every n-gram weighs the same.
    Character n-grams carry English morphology and misspellings, and Korean, where particles stick to the words.

    Args:
        words: whether whole words are features.
        min_chars, max_chars: lengths of the character n-grams, taken inside words padded with one space on each side;
            `max_chars=0` for none.

    Raises:
        UsageError: no feature is left, or the lengths are reversed.

    Source: Sparck Jones 1972 (IDF); Weinberger et al. 2009 (feature hashing). Smoothing and sublinear counts follow
    scikit-learn's TfidfVectorizer.
    """

    name = "lexical"
    expensive = False

    def __init__(self, words: bool = True, min_chars: int = 2, max_chars: int = 4) -> None:
        if max_chars and not 1 <= min_chars <= max_chars:
            raise UsageError(f"min_chars={min_chars}, max_chars={max_chars}: 1 <= min_chars <= max_chars is needed")
        if not words and not max_chars:
            raise UsageError("words=false, max_chars=0 leaves the lexical encoder without features")
        self.words = words
        self.min_chars = min_chars
        self.max_chars = max_chars
        self._frequencies: np.ndarray | None = None
        self._n_texts = 0
        self._corpus = ""

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters and the fitted corpus."""
        return digest({"version": _VERSION, "corpus": self._corpus, **self.describe()})

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": self.name, "words": self.words, "min_chars": self.min_chars, "max_chars": self.max_chars}

    def fit(self, texts: Sequence[str]) -> Lexical:
        """A new encoder with the document frequencies of `texts`, whose order does not matter."""
        fitted = Lexical(self.words, self.min_chars, self.max_chars)
        fitted._frequencies = np.bincount(self._counts(texts).indices, minlength=_N_COLUMNS)
        fitted._n_texts = len(texts)
        # ascii() spells out lone surrogates, which UTF-8 has no bytes for.
        fitted._corpus = digest(sorted(map(ascii, texts)))
        return fitted

    def state(self) -> dict[str, np.ndarray]:
        """What `fit` learned, for a checkpoint; empty before."""
        if self._frequencies is None:
            return {}
        columns = np.flatnonzero(self._frequencies)
        return {
            "columns": columns.astype(np.int64),
            "frequencies": self._frequencies[columns].astype(np.int64),
            "n_texts": np.array([self._n_texts], np.int64),
            "corpus": np.frombuffer(bytes.fromhex(self._corpus), np.uint8).copy(),
        }

    def restored(self, state: Mapping[str, np.ndarray]) -> Lexical:
        """The encoder with these parameters that gave `state`."""
        fitted = Lexical(self.words, self.min_chars, self.max_chars)
        fitted._frequencies = np.zeros(_N_COLUMNS, np.int64)
        fitted._frequencies[state["columns"]] = state["frequencies"]
        fitted._n_texts = int(state["n_texts"][0])
        fitted._corpus = state["corpus"].tobytes().hex()
        return fitted

    def encode(self, texts: Sequence[str]) -> csr_array:
        """(len(texts), 2**20) float32 CSR. A text without a letter or digit is an empty row."""
        from fewshot.encoders.prototypes import normalized

        vectors = self._counts(texts)
        vectors.data = 1 + np.log(vectors.data)
        if self._frequencies is not None:
            vectors.data *= 1 + np.log((1 + self._n_texts) / (1 + self._frequencies[vectors.indices]))
        return normalized(vectors)

    def _counts(self, texts: Sequence[str]) -> csr_array:
        from scipy.sparse import csr_array

        rows = [_hashed_counts(text, self.words, self.min_chars, self.max_chars) for text in texts]
        ends = np.cumsum([0, *(len(columns) for columns, _ in rows)], dtype=np.int32)
        columns = np.concatenate([_NO_COLUMNS, *(columns for columns, _ in rows)])
        counts = np.concatenate([_NO_COUNTS, *(counts for _, counts in rows)])
        return csr_array((counts, columns, ends), shape=(len(texts), _N_COLUMNS))


@lru_cache(maxsize=2**13)
def _hashed_counts(text: str, words: bool, min_chars: int, max_chars: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of a text's n-grams and how often each occurs. Remembered: episodes of one pool share their texts."""
    counts = Counter(_ngrams(text, words, min_chars, max_chars))
    hashed = (zlib.crc32(gram.encode("utf-8", "surrogatepass")) % _N_COLUMNS for gram in counts)
    columns, inverse = np.unique(np.fromiter(hashed, np.int32, len(counts)), return_inverse=True)
    weights = np.fromiter(counts.values(), np.float32, len(counts))
    return columns, np.bincount(inverse, weights, minlength=len(columns)).astype(np.float32)


def _ngrams(text: str, words: bool, min_chars: int, max_chars: int) -> Iterator[str]:
    """Features of a text. A whole word ends in a tab, which no character n-gram holds."""
    for word in _WORD.findall(unicodedata.normalize("NFC", text).casefold()):
        if words:
            yield word + "\t"
        padded = f" {word} "
        for n in range(min_chars, max_chars + 1):
            for start in range(len(padded) - n + 1):
                yield padded[start : start + n]
