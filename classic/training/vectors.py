"""The vectors of texts, each computed once, without a tensor library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from classic.training.inputs import FrozenFeatures
from evals.content import Content


class VectorTable:
    """Every text once, with its vector.

    Args:
        features: how a text becomes a vector.
    """

    def __init__(self, features: FrozenFeatures) -> None:
        self._features = features
        self._vectors: dict[Content, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, texts: Iterable[Content]) -> None:
        """Compute the vectors of unseen texts, all together."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if fresh:
            self._vectors.update(zip(fresh, self._features.vectors(fresh), strict=True))

    def vectors(self, texts: Sequence[Content]) -> np.ndarray:
        """(len(texts), d) float32 of texts that were added."""
        return np.stack([self._vectors[text] for text in texts])
