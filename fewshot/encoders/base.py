"""The encoder contract: texts in, one vector per text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Vectors = np.ndarray | csr_array


class Encoder(Protocol):
    """Turns texts into vectors. Rows are L2-normalised, so a dot product is the cosine similarity.

    Attributes:
        expensive: whether vectors are worth keeping on disk.
    """

    name: str
    expensive: bool

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides a vector: weights or corpus, pooling, version of the code."""
        ...

    def fit(self, texts: Sequence[str]) -> Encoder:
        """A new encoder that has seen `texts` (document frequencies, ...); itself where there is nothing to learn."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(len(texts), d) float32, dense or CSR. A text with nothing to encode is a zero row, never NaN."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON-ready parameters for the record."""
        ...


@runtime_checkable
class ReadsSoMuch(Protocol):
    """An encoder that reads the beginning of a long text alone."""

    def tell_cut(self, texts: Sequence[str]) -> None:
        """Tell the user how many texts are longer than what is read of them."""
        ...
