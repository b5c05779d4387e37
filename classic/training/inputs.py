"""How texts become rows of tensors: vectors of a frozen encoder here, token ids in `classic.networks.text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from evals.content import Content
from fewshot.core.errors import FewshotError, UsageError
from fewshot.core.images import Image
from fewshot.encoders.base import Encoder
from fewshot.encoders.pairs import pair_vectors
from fewshot.encoders.prototypes import normalized

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

#: Mean cosine between texts from which vectors count as lying in a narrow cone. Between texts of different classes of
#: twelve sets it was at most 0.35 by MiniLM, and at least 0.76 by E5.
CONE = 0.5
#: Texts whose mean is the centre, and the name of it in a checkpoint.
_CENTRE_TEXTS, _CENTRE = 2000, "centre"
#: Columns that sparse vectors are folded into. Dot products of unit vectors move by about 1 / sqrt(2048) = 0.02.
_DENSE_COLUMNS = 2048


class Inputs(Protocol):
    """Turns texts into rows of equal shape."""

    @property
    def pad(self) -> int | None:
        """The token id that fills short rows up; None where rows are vectors."""
        ...

    @property
    def blank(self) -> Content:
        """Some example, by which it is found out how wide a row is."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides a row."""
        ...

    def fit(self, texts: Sequence[str]) -> None:
        """Learn from the texts of the training classes: document frequencies, a vocabulary."""
        ...

    def rows(self, texts: Sequence[Content]) -> Tensor:
        """(len(texts), width) float32 vectors or int64 token ids, on the CPU."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON-ready parameters for the record."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What `fit` learned, for a checkpoint."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        ...


class FrozenFeatures:
    """The vectors of an encoder that is not trained. Sparse ones are folded into 2,048 signed columns.

    A pair of texts has the vectors of both beside their difference.

    Args:
        encoder: any encoder; its cache is what makes the second run fast.
        centred: whether `fit` takes the mean of its texts from all vectors where they lie in a narrow cone.

    Sources: Weinberger et al. 2009 (signed feature hashing keeps dot products in expectation); Wang et al., arXiv
    1911.04623 (SimpleShot: the mean of the base classes is taken away).
    """

    pad = None

    def __init__(self, encoder: Encoder, centred: bool = False) -> None:
        self.encoder = encoder
        self._centred = centred
        self._centre: np.ndarray | None = None
        self.blank: Content = getattr(encoder, "blank", "a")

    @property
    def fingerprint(self) -> str:
        """That of the encoder."""
        return self.encoder.fingerprint

    def fit(self, texts: Sequence[str]) -> None:
        """Fit the encoder, where it learns from texts, and find the centre."""
        self.encoder = self.encoder.fit(texts)
        self._centre = None
        if self._centred:
            mean = self._encoded(texts[:_CENTRE_TEXTS]).mean(axis=0)
            self._centre = mean if mean @ mean > CONE else None

    def vectors(self, texts: Sequence[Content]) -> np.ndarray:
        """(len(texts), d) float32; (len(texts), 3 d) of pairs.

        Raises:
            FewshotError: the encoder gave NaN or infinity.
            UsageError: texts and pairs of texts are mixed.
        """
        single = [text for text in texts if isinstance(text, str)]
        pairs = [pair for pair in texts if not isinstance(pair, str)]
        if not pairs:
            return self._encoded(single)
        if single:
            raise UsageError("texts and pairs of texts have vectors of different lengths: they cannot be compared")
        return pair_vectors(*(self._encoded([pair[at] for pair in pairs]) for at in (0, 1)))

    def _encoded(self, texts: Sequence[str]) -> np.ndarray:
        if getattr(self.encoder, "modality", "text") == "text" and any(isinstance(text, Image) for text in texts):
            raise UsageError(f"encoder {self.encoder.name!r} reads texts, and these are images; pixels reads them")
        vectors = self.encoder.encode(texts)
        dense = vectors if isinstance(vectors, np.ndarray) else _folded(vectors)
        faulty = np.flatnonzero(~np.isfinite(dense).all(axis=1))
        if len(faulty):
            raise FewshotError(
                f"encoder {self.encoder.name!r} gave NaN or infinity for {len(faulty)} of {len(texts)} texts, "
                f"first for {texts[int(faulty[0])][:60]!r}; check the model's files, or use another encoder"
            )
        found = np.array(dense, dtype=np.float32)
        return found if self._centre is None else normalized(found - self._centre)

    def rows(self, texts: Sequence[Content]) -> Tensor:
        """The same as a tensor."""
        import torch

        return torch.from_numpy(self.vectors(texts))

    def describe(self) -> dict[str, Any]:
        """That of the encoder."""
        return self.encoder.describe()

    def state(self) -> dict[str, Tensor]:
        """What the encoder learned, and the centre; empty where there is neither."""
        import torch

        learned = getattr(self.encoder, "state", dict)()
        if self._centre is not None:
            learned = {**learned, _CENTRE: self._centre}
        return {name: torch.from_numpy(array) for name, array in learned.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Give the encoder back what it learned."""
        learned = {name: value.numpy() for name, value in state.items()}
        self._centre = learned.pop(_CENTRE, None)
        if not learned:
            return
        if not hasattr(self.encoder, "restored"):
            raise UsageError(f"the checkpoint holds a fitted encoder, but {self.encoder.name!r} cannot be restored")
        self.encoder = cast(Any, self.encoder).restored(learned)


def _folded(vectors: csr_array) -> np.ndarray:
    """(n, 2048) dense: every column is added to, or taken from, one of 2,048."""
    from scipy.sparse import csr_array

    # Knuth's multiplicative hash; the sign comes from a bit that the column does not use.
    mixed = vectors.indices.astype(np.uint64) * np.uint64(2654435761)
    columns = (mixed >> np.uint64(12)) % np.uint64(_DENSE_COLUMNS)
    signs = 1.0 - 2.0 * ((mixed >> np.uint64(31)) & np.uint64(1)).astype(np.float32)
    shape = (len(vectors.indptr) - 1, _DENSE_COLUMNS)
    return csr_array((vectors.data * signs, columns.astype(np.int32), vectors.indptr), shape=shape).toarray()
