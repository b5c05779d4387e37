"""Vectors of items, their means by class, and how these are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fewshot.core.errors import UsageError
from fewshot.core.hashing import text_key
from fewshot.core.images import Image
from fewshot.core.series import Series
from fewshot.encoders.prototypes import class_means, normalized, squared_lengths

if TYPE_CHECKING:
    from fewshot.encoders.base import Encoder, Vectors

#: Items of one class, or queries: what the encoder embeds (texts as a rule), or vectors (n, d) that it gave.
Items = Sequence[Any] | np.ndarray
#: Squared length of a mean below which its vectors cancel out.
_NOTHING = 1e-12
_SHOWN = 60


@dataclass(frozen=True)
class Space:
    """Of what kind the vectors of a registry are, and how many dimensions they have."""

    sparse: bool
    dimensions: int

    @classmethod
    def of(cls, vectors: Vectors) -> Self:
        """The space of vectors (n, d)."""
        return cls(not isinstance(vectors, np.ndarray), shape_of(vectors)[1])

    @classmethod
    def parse(cls, noted: str) -> Self:
        """As it was noted by `str`."""
        kind, dimensions = noted.split()
        return cls(kind == "sparse", int(dimensions))

    def __str__(self) -> str:
        return f"{'sparse' if self.sparse else 'dense'} {self.dimensions}"

    def write(self, vector: Vectors) -> bytes:
        """A vector (1, d) as it is stored: float32; of a sparse one the columns before the values."""
        if isinstance(vector, np.ndarray):
            return vector.astype("<f4").tobytes()
        return vector.indices.astype("<i4").tobytes() + vector.data.astype("<f4").tobytes()

    def read(self, stored: Sequence[bytes]) -> Vectors:
        """(n, d) vectors that were written."""
        if not self.sparse:
            return np.frombuffer(b"".join(stored), "<f4").reshape(len(stored), self.dimensions)
        from scipy.sparse import csr_array

        sizes = [len(each) // 8 for each in stored]
        columns = [np.frombuffer(each, "<i4", size) for each, size in zip(stored, sizes, strict=True)]
        values = [np.frombuffer(each, "<f4", offset=4 * size) for each, size in zip(stored, sizes, strict=True)]
        ends = np.cumsum([0, *sizes], dtype=np.int32)
        data = (np.concatenate(values), np.concatenate(columns), ends)
        return csr_array(data, shape=(len(stored), self.dimensions))


def shape_of(vectors: Vectors) -> tuple[int, int]:
    """(n, d) of dense or sparse vectors."""
    shape: Any = vectors.shape
    return shape


def embed(items: Items, encoder: Callable[[], Encoder], what: str) -> Vectors:
    """(n, d) vectors of length 1; zero where an item holds nothing to be read.

    Args:
        encoder: is asked for where items are no vectors.
        what: the items are, for messages.

    Raises:
        UsageError: no items, one text instead of a list, or vectors that are not finite.
    """
    if isinstance(items, str):
        raise UsageError(f"{what}: give a list of texts, not one text")
    if len(items) == 0:
        raise UsageError(f"{what}: there are no items; give one or more")
    vectors = items if isinstance(items, np.ndarray) else _encoded(items, encoder())
    if len(shape_of(vectors)) != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise UsageError(f"{what}: vectors are a matrix (n, d) of floats, not {vectors.dtype} {shape_of(vectors)}")
    lengths = squared_lengths(vectors)
    if not np.isfinite(lengths).all():
        at = int(np.argmin(np.isfinite(lengths)))
        raise UsageError(f"{what}: the vector of item {at + 1} is not finite")
    return normalized(vectors)


def modality_of(encoder: Encoder) -> str:
    """What an encoder reads: texts, unless it says otherwise."""
    return getattr(encoder, "modality", "text")


def _encoded(items: Sequence[Any], encoder: Encoder) -> Vectors:
    if modality_of(encoder) == "text" and any(isinstance(item, Image | Series) for item in items):
        raise UsageError(f"encoder {encoder.name} reads texts, and there is an image or a series among the items")
    return encoder.encode(list(items))


def is_blank(item: object) -> bool:
    """Whether an item is a text without anything to read, which no encoder is asked about."""
    return isinstance(item, str) and not text_key(item)


def means_of(classes: Mapping[str, Items], encoder: Callable[[], Encoder]) -> tuple[Vectors, list[int]]:
    """The mean vector of each class, (n_class, d), and of how many items it is.

    Raises:
        UsageError: no items, one without anything to read, or a class whose vectors cancel out.
    """
    for name, items in classes.items():
        if isinstance(items, str) or len(items) == 0:
            embed(items, encoder, f"class {name!r}")
        if not isinstance(items, np.ndarray):
            _refuse_unread(name, items, [at for at, item in enumerate(items) if is_blank(item)])
    groups = list(classes.values())
    given = [items for items in groups if isinstance(items, np.ndarray)]
    if given and len(given) < len(groups):
        raise UsageError("give vectors of every class, or items of every class")
    vectors = embed(np.concatenate(given) if given else list(chain.from_iterable(groups)), encoder, "items")
    counts = [len(items) for items in groups]
    ends = np.cumsum(counts)
    zero = squared_lengths(vectors) == 0
    if zero.any():
        for name, items, end in zip(classes, groups, ends, strict=True):
            _refuse_unread(name, items, np.flatnonzero(zero[end - len(items) : end]).tolist())
    of_class = np.repeat(np.arange(len(counts)), counts)
    means = class_means(vectors, of_class, len(counts))
    require_direction(means, list(classes))
    return means, counts


def _refuse_unread(name: str, items: Items, unread: Sequence[int]) -> None:
    """Raises UsageError for the first of the items of a class that hold nothing for the encoder."""
    for at in unread:
        item: Any = items[at]
        shown = item.place if isinstance(item, Image) else repr(str(item)[:_SHOWN])
        raise UsageError(
            f"class {name!r}: the encoder reads nothing in item {at + 1} ({shown}): its vector is zero. Leave it out"
        )


def require_direction(means: Vectors, names: Sequence[str]) -> None:
    """Refuse a prototype that is zero.

    Raises:
        UsageError: naming its class.
    """
    for at in np.flatnonzero(squared_lengths(means) < _NOTHING).tolist():
        raise UsageError(f"class {names[at]!r}: the vectors of its items cancel out, so it would have no prototype")
