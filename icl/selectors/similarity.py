"""What the similarity-based selectors share: vectors of a pool, encoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from evals.types import Query
from fewshot.core.embedded import encoder_for
from fewshot.core.errors import UsageError
from fewshot.core.spec import AUTO, Spec, auto_spec
from fewshot.encoders import build_encoder
from icl.parts import PartLike, between
from icl.selectors.base import Pick, Pool, nearest, shared
from icl.selectors.by_class import ClassSelector
from icl.selectors.vectors import Encoded, unit


@dataclass(frozen=True)
class SimilaritySelector(ClassSelector):
    """Base of selectors that compare texts. Only texts are encoded: a label in the key would give the answer away.

    Args:
        encoder: spec of an encoder, or any object whose `encode` turns texts into rows; "auto" takes the embedded
            encoder that suits the language of the pool. Where vectors are at hand: a matrix (n_pool, d), or a pair of
            such a matrix and one of the queries, (n_query, d).
        device, offline: passed to an encoder given as a spec.
    """

    encoder: PartLike = AUTO
    device: str = field(default="auto", kw_only=True, compare=False)
    offline: bool = field(default=False, kw_only=True, compare=False)

    def encode(self, pool: Pool) -> Encoded:
        """Fit and encode a pool; kept for as long as the pool lives."""
        if pool.whole not in self._encoded:
            self._encoded[pool.whole] = self._encode(pool.whole)
        whole = self._encoded[pool.whole]
        return whole if pool is pool.whole else Encoded(whole.encoder, whole.vectors[pool.rows])

    def notes(self, pool: Pool) -> tuple[str, ...]:
        """Which encoder compares the texts, and why, where none was named."""
        chosen = self._choice(pool)
        return () if chosen is None else (chosen[1],)

    def describe(self) -> dict[str, Any]:
        """Name and parameters, JSON-ready; what has no description of its own is told by its type."""
        known = isinstance(self.encoder, str | Mapping | Spec) or hasattr(self.encoder, "describe")
        return super().describe() if known else {**super().describe(), "encoder": type(self.encoder).__name__}

    def _encode(self, pool: Pool) -> Encoded:
        given = self.encoder if isinstance(self.encoder, tuple) else (self.encoder, None)
        if hasattr(given[0], "shape"):
            vectors, asked = unit(given[0]), given[1]
            if vectors.shape[0] != len(pool.examples):
                raise UsageError(f"encoder= holds {vectors.shape[0]} vectors for {len(pool.examples)} examples")
            return Encoded(None if asked is None else unit(asked), vectors)
        encoder = self._encoder_for(pool)
        fitted = encoder.fit(pool.texts) if hasattr(encoder, "fingerprint") else encoder
        return Encoded(fitted, unit(fitted.encode(pool.texts)))

    def _encoder_for(self, pool: Pool) -> Any:
        chosen = self._choice(pool)
        spec = self.encoder if chosen is None else chosen[0]
        if not isinstance(spec, str | Mapping | Spec):
            if not hasattr(spec, "encode"):
                raise UsageError(f"encoder={type(spec).__name__} is no name, no matrix, and has no method encode")
            return spec
        if str(spec) not in self._built:
            self._built[str(spec)] = build_encoder(spec, device=self.device, offline=self.offline)
        return self._built[str(spec)]

    def _choice(self, pool: Pool) -> tuple[Spec, str] | None:
        """The encoder for the language of a pool, and why, where none was named."""
        spec = auto_spec(self.encoder)
        if spec is None:
            return None
        name, reason = encoder_for(pool.spoken)
        return replace(spec, name=name), reason

    @cached_property
    def _built(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _encoded(self) -> WeakKeyDictionary[Pool, Encoded]:
        return WeakKeyDictionary()


@dataclass(frozen=True)
class QuerySelector(SimilaritySelector):
    """Base of selectors that compare the pool with the query and with itself. Subclasses define `take`.

    Args:
        fetch: how many of the most similar examples are looked at; the whole pool where it is None, or no larger.
    """

    fetch: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fetch is not None and not (isinstance(self.fetch, int) and between(self.fetch, 1)):
            way_out = "give 1 or more, or none for the whole pool"
            raise UsageError(f"{self.name}:fetch={self.fetch} is no number of examples: {way_out}")

    @property
    def by_query(self) -> bool:
        return True

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        if m == 0:
            return [[] for _ in queries]
        encoded = self.encode(pool)
        found: list[list[Pick]] = []
        for similar, twins in zip(encoded.cosines(queries), excluded, strict=True):
            rows = self._shortlist(similar, m, twins)
            vectors = encoded.vectors if len(rows) == len(similar) else encoded.vectors[rows]
            taken = rows[self.take(similar[rows], vectors, m)]
            found.append([Pick(pool.examples[at], float(similar[at])) for at in taken])
        return found

    def take(self, similar: np.ndarray, vectors: Any, m: int) -> list[int]:
        """Up to `m` of the candidates, the most wanted first; ties in their order.

        Args:
            similar: (n,) cosines with the query. vectors: (n, d), of length 1.

        Returns:
            Positions among the n.
        """
        raise NotImplementedError

    def _shortlist(self, similar: np.ndarray, m: int, twins: frozenset[int]) -> np.ndarray:
        """Rows of the candidates, in the order of the pool, without the query itself."""
        wanted = len(similar) if self.fetch is None else max(self.fetch, m)
        whole = wanted >= len(similar) - len(twins)
        rows = np.arange(len(similar)) if whole else nearest(similar, wanted + len(twins))
        rows = rows[~np.isin(rows, list(twins))] if twins else rows
        return rows if whole else np.sort(rows[:wanted])


@dataclass(frozen=True)
class SpreadSelector(SimilaritySelector):
    """Base of selectors that choose from the pool alone, whatever is asked: the queries share one prompt."""

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        return shared(lambda n: self.order(self.encode(pool), n), pool, m, excluded)

    def order(self, encoded: Encoded, n: int) -> list[int]:
        """The first `n` positions of the choice; those of more begin with those of fewer. Ties in their order."""
        raise NotImplementedError
