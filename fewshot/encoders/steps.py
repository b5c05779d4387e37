"""Time series as vectors: the least that an encoder of them can do, and what a trained one has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from fewshot.core.series import Series, values_of
from fewshot.encoders.prototypes import normalized


class Steps:
    """Every dimension drawn out to `length` steps, with mean 0, as one vector of length 1: a dot product is a
    correlation. Missing values lie on the line between their neighbours; a dimension without any is zero.

    Args:
        length: steps of a dimension.
    """

    name = "steps"
    modality = "series"
    expensive = False

    def __init__(self, length: int = 64) -> None:
        if length < 1:
            raise UsageError(f"length {length} is too small; it is the number of steps of a dimension, from 1")
        self.length = length

    @property
    def blank(self) -> str:
        """A series without content."""
        return Series.of(np.zeros((1, 1)))

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters: nothing is learned."""
        return digest(self.describe())

    def fit(self, texts: Sequence[str]) -> Steps:
        """Nothing to learn."""
        return self

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), dimensions * length) float32; a zero row for a series that never changes.

        Raises:
            UsageError: a text among the series, or series of different numbers of dimensions.
        """
        values = values_of(texts)
        return normalized(
            np.array([[self._drawn(dimension) for dimension in each] for each in values]).reshape(len(values), -1)
        )

    def _drawn(self, dimension: np.ndarray) -> np.ndarray:
        (seen,) = np.nonzero(np.isfinite(dimension))
        if not len(seen):
            return np.zeros(self.length, np.float32)
        at = np.linspace(seen[0], seen[-1], self.length)
        drawn = np.interp(at, seen, dimension[seen]).astype(np.float32)
        return drawn - drawn.mean()

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": self.name, "length": self.length}
