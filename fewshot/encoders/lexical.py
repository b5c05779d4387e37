"""TF-IDF of words and character n-grams: no model, no training, any language."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_WORD = re.compile(r"\w+")
#: Columns that n-grams are hashed into. With 100,000 distinct n-grams one in ten shares its column.
_N_COLUMNS = 2**20
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
        fitted._corpus = digest(sorted(texts))
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

        known: dict[str, int] = {}
        columns: list[int] = []
        values: list[int] = []
        ends = [0]
        for text in texts:
            counts: Counter[int] = Counter()
            for gram in self._ngrams(text):
                column = known.get(gram)
                if column is None:
                    column = known[gram] = zlib.crc32(gram.encode("utf-8", "surrogatepass")) % _N_COLUMNS
                counts[column] += 1
            columns.extend(counts.keys())
            values.extend(counts.values())
            ends.append(len(columns))
        data = np.array(values, dtype=np.float32)
        return csr_array((data, np.array(columns, np.int32), np.array(ends, np.int32)), (len(texts), _N_COLUMNS))

    def _ngrams(self, text: str) -> Iterator[str]:
        """Features of a text. A whole word ends in a tab, which no character n-gram holds."""
        for word in _WORD.findall(unicodedata.normalize("NFC", text).casefold()):
            if self.words:
                yield word + "\t"
            padded = f" {word} "
            for n in range(self.min_chars, self.max_chars + 1):
                for start in range(len(padded) - n + 1):
                    yield padded[start : start + n]
