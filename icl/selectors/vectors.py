"""The vectors of a pool and of queries, whoever made them: an encoder of ours, another's, or a matrix at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.content import whole_text
from evals.types import Query
from fewshot.core.errors import UsageError
from fewshot.encoders.prototypes import normalized, squared_lengths

#: Similarities held at once: 2**24 float32 are 64 MiB.
_BLOCK = 2**24
#: How far from 1 the length of a row may be that is taken as it is: cosines have five digits.
_EVEN = 1e-6


@dataclass(frozen=True)
class Encoded:
    """A pool's vectors, with rows of length 1, and what gives those of queries.

    Attributes:
        encoder: has `encode`, and has seen the pool alone: neither queries nor labels. Or the queries' vectors, (n, d).
    """

    encoder: Any
    vectors: Any

    def asked(self, queries: Sequence[Query]) -> Any:
        """(n_query, d) vectors.

        Raises:
            UsageError: their vectors were not given.
        """
        if hasattr(self.encoder, "encode"):
            return unit(self.encoder.encode([whole_text(query) for query in queries]))
        if self.encoder is None or self.encoder.shape[0] != len(queries):
            given = "none" if self.encoder is None else f"{self.encoder.shape[0]}"
            raise UsageError(
                f"vectors of {len(queries)} queries are needed, and {given} are given: encoder=(vectors of the pool, "
                "vectors of the queries), one row each"
            )
        return self.encoder

    def cosines(self, queries: Sequence[Query]) -> Iterator[np.ndarray]:
        """Per query, (n_pool,) similarities."""
        vectors = self.asked(queries)
        step = max(1, _BLOCK // max(1, self.vectors.shape[0]))
        for start in range(0, len(queries), step):
            yield from cosines(vectors[start : start + step], self.vectors)

    def all_cosines(self) -> Iterator[tuple[int, np.ndarray]]:
        """The similarities of the pool with itself, in blocks of rows: (first row, (rows, n_pool))."""
        n = self.vectors.shape[0]
        step = max(1, _BLOCK // max(1, n))
        for start in range(0, n, step):
            yield start, cosines(self.vectors[start : start + step], self.vectors)


def cosines(one: Any, other: Any) -> np.ndarray:
    """(n, m) cosines of rows (n, d) and (m, d) of length 1, dense or sparse.

    Rounded, because BLAS sums in an order that depends on the size of the block: without it, two equal texts could
    swap places when other queries are asked along with this one.
    """
    product = one @ other.T
    return np.round(product.toarray() if hasattr(product, "toarray") else product, 5)


def unit(vectors: Any) -> Any:
    """Rows of length 1, dense or sparse, of whatever an encoder returns.

    Raises:
        UsageError: it is no matrix, or its numbers are not finite.
    """
    found = vectors.tocsr() if hasattr(vectors, "tocsr") else np.asarray(vectors)
    numbers = np.asarray(found.data if hasattr(vectors, "tocsr") else found)
    if found.ndim != 2 or numbers.dtype.kind not in "fiu":
        raise UsageError(f"vectors are one row of numbers per text, and not {numbers.dtype} of shape {found.shape}")
    if not np.isfinite(numbers).all():
        raise UsageError("vectors hold numbers that are not finite: no cosine can be computed")
    lengths = np.sqrt(squared_lengths(found))
    return found if found.dtype == np.float32 and np.abs(lengths - 1).max(initial=0) < _EVEN else normalized(found)
