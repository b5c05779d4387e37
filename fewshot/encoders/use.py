"""The multilingual Universal Sentence Encoder in NumPy: sentence vectors in 16 languages without torch.

Yang et al., ACL 2020 (arXiv 1907.04307), the variant with convolutions. Pieces are looked up; windows of 2, 3 and 5 of
them pass through two convolutions each; what comes out is summed, divided by the root of the number of pieces, and goes
through four dense layers.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from fewshot.core.embedded import EMBEDDED, ensure
from fewshot.core.errors import ModelUnavailable
from fewshot.core.hashing import digest
from fewshot.encoders.prototypes import normalized
from fewshot.encoders.sentencepiece import Unigram

_LOG = logging.getLogger(__name__)
_VERSION = 1
_BEGIN, _END = 1, 2
#: Rows of the table of pieces are spread over so many blocks, each with a scale of its own.
_BLOCKS = 17
#: Length of a window, and how many pieces of it lie before the one that it is for.
_WINDOWS = ((2, 0), (3, 1), (5, 2))
#: Pieces per forward pass: enough to read each weight once for many texts, few enough for the caches of a CPU.
_AT_ONCE = 384


class UniversalSentenceEncoder:
    """Sentence vectors in 16 languages with NumPy alone (512 dimensions, texts of any length).

    Args:
        offline: whether downloads are forbidden.
        notify: told about a download, in one line.
    """

    name = "use-m3"
    expensive = True

    def __init__(self, offline: bool = False, notify: Callable[[str], None] = _LOG.warning) -> None:
        self.offline = offline
        self._notify = notify

    @property
    def fingerprint(self) -> str:
        """Hash of the weights, which need not be here for it."""
        return digest([_VERSION, EMBEDDED[self.name].sha256])  # type: ignore[union-attr] - it is none of the shipped

    def describe(self) -> dict[str, Any]:
        """Its name: there is nothing to choose."""
        return {"name": self.name}

    def fit(self, texts: Sequence[str]) -> UniversalSentenceEncoder:
        """Itself: the weights are frozen."""
        return self

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), 512) float32, dense; a text without anything to read is a zero row.

        Raises:
            ModelUnavailable: the weights cannot be had here.
        """
        vectors = np.zeros((len(texts), 512), dtype=np.float32)
        waiting: dict[int, list[int]] = {}
        for at, text in enumerate(texts):
            if ids := self._tokenizer.ids(text):
                waiting[at] = [_BEGIN, *ids, _END]
            if sum(map(len, waiting.values())) >= _AT_ONCE:
                vectors[list(waiting)] = self._weights(list(waiting.values()))
                waiting = {}
        if waiting:
            vectors[list(waiting)] = self._weights(list(waiting.values()))
        return normalized(vectors)

    @cached_property
    def _folder(self) -> Path:
        return ensure(self.name, offline=self.offline, notify=self._notify)

    @cached_property
    def _tokenizer(self) -> Unigram:
        return self._read(Unigram, "sp.model")

    @cached_property
    def _weights(self) -> _Network:
        return self._read(_Network, "weights.npz")

    def _read(self, reader: Callable[[Path], Any], name: str) -> Any:
        path = self._folder / name
        try:
            return reader(path)
        except (OSError, ValueError, LookupError, EOFError, struct.error, BadZipFile, zlib.error) as error:
            raise ModelUnavailable(
                f"{path} is damaged ({type(error).__name__}: {error}). Delete {path.parent}, and it is fetched again"
            ) from error


class _Network:
    """The forward pass. Calls return (n, 512) float32, not normalised."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            blocks = [stored[f"q{at + 1}"] for at in range(_BLOCKS)]
            self._of = {name: stored[name] for name in stored.files if name[0] != "q"}
        self._table = np.stack(blocks, axis=1).reshape(-1, blocks[0].shape[1])

    def __call__(self, texts: Sequence[Sequence[int]]) -> np.ndarray:
        """One vector per text, each text the ids of its pieces."""
        of = self._of
        lengths = np.array([len(ids) for ids in texts])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        ids = np.concatenate(texts)
        embedded = self._table[ids] * of["scale"][ids % _BLOCKS, None] + of["lo"][ids % _BLOCKS, None]
        read = [embedded]
        projected = np.split(self._scaled(embedded @ self._join("proj") + self._join("proj_b"), self._join), 3, axis=1)
        for (length, before), inputs in zip(_WINDOWS, projected, strict=True):
            window = _window(starts, lengths, length, before)
            middle = _convolved(inputs, window, of[f"w1_{length}"], of[f"b1_{length}"]) + inputs
            read.append(_convolved(middle, window, of[f"w2_{length}"], of[f"b2_{length}"]) + middle)
        summed = np.add.reduceat(self._scaled(np.concatenate(read, axis=1), self._of.__getitem__), starts, axis=0)
        root = np.sqrt(lengths)[:, None].astype(np.float32)
        mean = summed @ of["cnn_W"] / root + of["cnn_b"] * root
        first = np.maximum(mean @ of["p1"] + np.maximum(mean @ of["d0"], 0) @ of["d1"], 0)
        return np.tanh(first @ of["p3"] + np.maximum(first @ of["d2"], 0) @ of["d3"])

    def _join(self, name: str) -> np.ndarray:
        """A weight of all windows, side by side."""
        return np.concatenate([self._of[f"{name}{length}"] for length, _ in _WINDOWS], axis=-1)

    def _scaled(self, x: np.ndarray, weight: Callable[[str], np.ndarray]) -> np.ndarray:
        """Layer normalisation (Ba et al. 2016), over all windows at once."""
        centred = x - x.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        return centred / np.sqrt(variance + np.float32(self._of["eps"])) * weight("ln_g") + weight("ln_b")


def _window(starts: np.ndarray, lengths: np.ndarray, length: int, before: int) -> np.ndarray:
    """(n_pieces, length) indices of the pieces around each; beyond the ends of its text, -1."""
    first, end = np.repeat(starts, lengths)[:, None], np.repeat(starts + lengths, lengths)[:, None]
    around = np.arange(lengths.sum())[:, None] + np.arange(-before, length - before)
    return np.where((around >= first) & (around < end), around, -1)


def _convolved(x: np.ndarray, window: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution with rectifier; row -1 is a zero beyond the ends."""
    padded = np.concatenate([x, np.zeros_like(x[:1])])
    return np.maximum(padded[window].reshape(len(x), -1) @ weights + bias, 0)
