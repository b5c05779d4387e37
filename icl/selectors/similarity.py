"""What the similarity-based selectors share: vectors of a pool, encoded once, and cosines in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from evals.content import whole_text
from evals.types import Query
from fewshot.core.embedded import encoder_for
from fewshot.core.spec import AUTO, Spec, auto_spec
from fewshot.encoders import Encoder, build_encoder
from icl.parts import PartLike
from icl.selectors.base import Pool, Selector

#: Similarities held at once: 2**24 float32 are 64 MiB.
_BLOCK = 2**24


@dataclass(frozen=True)
class Encoded:
    """A pool's vectors and the encoder, fitted to the pool, that made them.

    The encoder has seen the pool alone: neither queries nor labels.
    """

    encoder: Encoder
    vectors: Any

    def similarities(self, vectors: Any) -> np.ndarray:
        """(n_pool, n) cosines between the pool and n vectors.

        Rounded, because BLAS sums in an order that depends on the size of the block: without it, two equal texts could
        swap places when other queries are asked along with this one.
        """
        product = self.vectors @ vectors.T
        return np.round(product.toarray() if hasattr(product, "toarray") else product, 5)


@dataclass(frozen=True)
class SimilaritySelector(Selector):
    """Base of selectors that compare texts. Only texts are encoded: a label in the key would give the answer away.

    Args:
        encoder: spec of an encoder, or an encoder; "auto" takes the embedded one that suits the language of the pool.
        device, offline: passed to an encoder given as a spec.
    """

    encoder: PartLike = AUTO
    device: str = field(default="auto", kw_only=True, compare=False)
    offline: bool = field(default=False, kw_only=True, compare=False)

    ranks_by_similarity = True

    def encode(self, pool: Pool) -> Encoded:
        """Fit and encode a pool; kept for as long as the pool lives."""
        if pool not in self._encoded:
            fitted = self._encoder_for(pool).fit(pool.texts)
            self._encoded[pool] = Encoded(fitted, fitted.encode(pool.texts))
        return self._encoded[pool]

    def cosines(self, queries: Sequence[Query], encoded: Encoded) -> Iterator[np.ndarray]:
        """Per query, (n_pool,) similarities."""
        texts = [whole_text(query) for query in queries]
        step = max(1, _BLOCK // max(1, encoded.vectors.shape[0]))
        for start in range(0, len(texts), step):
            yield from encoded.similarities(encoded.encoder.encode(texts[start : start + step])).T

    def notes(self, pool: Pool) -> tuple[str, ...]:
        """Which encoder compares the texts, and why, where none was named."""
        chosen = self._choice(pool)
        return () if chosen is None else (chosen[1],)

    def _encoder_for(self, pool: Pool) -> Encoder:
        chosen = self._choice(pool)
        spec = self.encoder if chosen is None else chosen[0]
        key = str(spec) if isinstance(spec, str | Mapping | Spec) else ""
        if key not in self._built:
            self._built[key] = build_encoder(spec, device=self.device, offline=self.offline)
        return self._built[key]

    def _choice(self, pool: Pool) -> tuple[Spec, str] | None:
        """The encoder for the language of a pool, and why, where none was named."""
        spec = auto_spec(self.encoder)
        if spec is None:
            return None
        name, reason = encoder_for(pool.spoken)
        return replace(spec, name=name), reason

    @cached_property
    def _built(self) -> dict[str, Encoder]:
        return {}

    @cached_property
    def _encoded(self) -> WeakKeyDictionary[Pool, Encoded]:
        return WeakKeyDictionary()
