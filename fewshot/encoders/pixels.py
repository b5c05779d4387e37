"""Pixels as vectors: the least that an encoder of images can do, and what a trained one has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from fewshot.core.images import as_image, pixels


class Pixels:
    """Every image resized, its mean taken away, as a vector of length 1: a dot product is a correlation.

    Args:
        size: height and width that images are resized to. channels: 1 for grey, 3 for colours.
    """

    name = "pixels"
    modality = "image"
    expensive = False

    def __init__(self, size: int = 28, channels: int = 1) -> None:
        if channels not in (1, 3) or size < 1:
            raise UsageError(f"images have 1 or 3 channels and a size above 0, not channels={channels}, size={size}")
        self.size = size
        self.channels = channels

    @property
    def blank(self) -> str:
        """An image without content."""
        return as_image(np.zeros((1, 1), np.uint8))

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters: nothing is learned."""
        return digest(self.describe())

    def fit(self, texts: Sequence[str]) -> Pixels:
        """Nothing to learn."""
        return self

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), channels * size * size) float32; a zero row for an image of a single colour.

        Raises:
            UsageError: a text among the images. TaskError: an image that cannot be read.
        """
        rows = pixels(texts, self.size, self.channels).reshape(len(texts), -1).astype(np.float32)
        rows -= rows.mean(axis=1, keepdims=True)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": self.name, "size": self.size, "channels": self.channels}
