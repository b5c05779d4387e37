"""Time series as examples. A series goes by the hash of its values, and carries them.

Two series of the same values are one text wherever they stood, and the name of a series tells nothing of its class:
what holds of texts (episodes, pairing, duplicates, leaks, stored runs) holds of series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fewshot.core.errors import UsageError

#: Hexadecimal digits of a name: 128 bits.
_DIGITS = 32


class Series(str):
    """The name of a time series by its values, which it carries.

    Attributes:
        values: (dimensions, length) float32, read-only; NaN where a value is missing.
    """

    values: np.ndarray

    def __new__(cls, name: str, values: np.ndarray) -> Self:
        series = super().__new__(cls, name)
        series.values = values
        return series

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.values))

    @classmethod
    def of(cls, values: Any) -> Self:
        """The series of an array.

        Args:
            values: (dimensions, length) numbers, or (length,) of a single dimension.

        Raises:
            UsageError: another shape, no value at all, or infinity.
        """
        with np.errstate(over="ignore"):
            found = np.array(values, np.float32)
        found = found[None] if found.ndim == 1 else found
        if found.ndim != 2 or not found.size:
            raise UsageError(f"a series is (dimensions, length) or (length,), and this is {np.shape(values)}")
        if np.isinf(found).any():
            raise UsageError("a value of the series is infinite, or too large for float32; write ? for a missing one")
        if np.isnan(found).all():
            raise UsageError("all values of the series are missing")
        found.flags.writeable = False
        name = hashlib.sha256(f"{found.shape}".encode() + found.tobytes()).hexdigest()[:_DIGITS]
        return cls(f"series:{name}", found)


def values_of(texts: Sequence[Any]) -> list[np.ndarray]:
    """The values of series that have as many dimensions each.

    Raises:
        UsageError: a text among them, or series of different numbers of dimensions.
    """
    if (text := next((each for each in texts if not isinstance(each, Series)), None)) is not None:
        raise UsageError(
            f"time series are read here, and {str(text)[:60]!r} is none; use an encoder of texts, or a task of series"
        )
    values = [each.values for each in texts]
    if len(counts := {len(each) for each in values}) > 1:
        raise UsageError(f"series of {' and of '.join(map(str, sorted(counts)))} dimensions cannot be compared")
    return values
