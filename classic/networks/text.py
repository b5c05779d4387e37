"""Token ids for the text encoders that are trained from scratch, and what those encoders share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from classic.functional.base import Network
from classic.training.inputs import Inputs
from evals.content import Content, joined
from fewshot.core.errors import MissingExtra, UsageError
from fewshot.core.hashing import digest
from fewshot.encoders.lexical import Lexical

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

#: Fills short rows up. Every token id is above it.
PAD = 0


class TextNetwork(Network, Protocol):
    """A network that reads token ids and knows how they are made.

    Attributes:
        vectorizes: whether `torch.func.vmap` can run it over tasks.
        lr: outer step size that suits it.
    """

    vectorizes: bool
    lr: float

    def inputs(self) -> Inputs:
        """The inputs that it reads; new ones at every call."""
        ...


class NgramIds:
    """Words and the character n-grams inside them, hashed: no vocabulary, any language.

    Args:
        buckets: number of ids, the padding included.
        max_length: n-grams per text; the rest is cut off.
    """

    pad = PAD
    blank = "a"

    def __init__(self, buckets: int, max_length: int) -> None:
        self.buckets = buckets
        self.max_length = max_length
        self._lexical = Lexical()

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters: nothing is learned."""
        return digest([self._lexical.fingerprint, self.describe()])

    def fit(self, texts: Sequence[str]) -> None:
        """Nothing to learn."""

    def rows(self, texts: Sequence[Content]) -> Tensor:
        """(len(texts), max_length) int64; every distinct n-gram of a text once."""
        vectors = self._lexical.encode(list(map(joined, texts)))
        spans = zip(vectors.indptr[:-1], vectors.indptr[1:], strict=True)
        return _padded([vectors.indices[a:b] % (self.buckets - 1) + 1 for a, b in spans], self.max_length)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": "ngrams", "buckets": self.buckets, "max_length": self.max_length}

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""


class Subwords:
    """Byte-level BPE pieces, learned from the texts of the training classes. No text has an unknown piece.

    Args:
        vocabulary: number of ids, the padding included; at least the 256 bytes and the padding.
        max_length: pieces per text; the rest is cut off.

    Source: Sennrich et al. 2016; Radford et al. 2019 (bytes as the alphabet).
    """

    pad = PAD
    blank = "a"

    def __init__(self, vocabulary: int, max_length: int) -> None:
        if vocabulary < 257:
            raise UsageError(f"vocabulary {vocabulary} is too small: 256 bytes and the padding are always in it")
        self.vocabulary = vocabulary
        self.max_length = max_length
        self._tokenizer: Tokenizer | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters and the learned pieces."""
        return digest([self.describe(), self._trained.to_str()])

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the pieces."""
        try:
            from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
        except ImportError as error:
            raise MissingExtra("a trained tokenizer", "local") from error

        tokenizer: Any = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,  # pyright: ignore[reportCallIssue]
            special_tokens=["<pad>"],  # pyright: ignore[reportCallIssue]
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),  # pyright: ignore[reportCallIssue]
            show_progress=False,  # pyright: ignore[reportCallIssue]
        )
        tokenizer.train_from_iterator(sorted(map(whole, texts)), trainer)
        self._tokenizer = tokenizer

    def rows(self, texts: Sequence[Content]) -> Tensor:
        """(len(texts), max_length) int64."""
        encoded = self._trained.encode_batch_fast([whole(joined(text)) for text in texts], add_special_tokens=False)
        return _padded([np.array(row.ids, np.int64) for row in encoded], self.max_length)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": "subwords", "vocabulary": self.vocabulary, "max_length": self.max_length}

    def state(self) -> dict[str, Tensor]:
        """The tokenizer's JSON, as bytes."""
        import torch

        return {"tokenizer": torch.frombuffer(bytearray(self._trained.to_str().encode()), dtype=torch.uint8)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up a tokenizer."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(bytes(state["tokenizer"].tolist()).decode())

    @property
    def _trained(self) -> Tokenizer:
        if self._tokenizer is None:
            raise UsageError("the tokenizer is not trained yet; train the learner, or load a trained one")
        return self._tokenizer


def whole(text: str) -> str:
    """The text with "?" for halves of characters (lone surrogates), which the tokenizers library refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")


def token_mask(x: Tensor) -> Tensor:
    """(n, length) 1.0 where there is a token."""
    import torch

    return (x != PAD).to(torch.float32)


def mean_over_tokens(vectors: Tensor, mask: Tensor) -> Tensor:
    """(n, length, d) and (n, length) -> (n, d); zero for a text without tokens."""
    return (vectors * mask[..., None]).sum(dim=-2) / mask.sum(dim=-1, keepdim=True).clamp(min=1)


def unit(vectors: Tensor) -> Tensor:
    """Rows of length 1, as frozen encoders give them. The zero row stays, and its gradient is finite."""
    return vectors / (vectors.square().sum(dim=-1, keepdim=True) + 1e-12).sqrt()


def _padded(rows: Sequence[np.ndarray], width: int) -> Tensor:
    import torch

    ids = torch.full((len(rows), width), PAD, dtype=torch.int64)
    for at, row in enumerate(rows):
        kept = row[:width]
        ids[at, : len(kept)] = torch.from_numpy(kept.astype(np.int64))
    return ids
