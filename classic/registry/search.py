"""The nearest of many prototypes: exact products, for large registries of the few rows that bounds leave over."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from classic.registry.codes import Coder, Codes
from classic.registry.vectors import shape_of
from fewshot.encoders.prototypes import normalized, similarities, squared_lengths

if TYPE_CHECKING:
    from fewshot.encoders.base import Vectors

#: Rows of a block: its codes fit into the cache of a core.
BLOCK = 16_384
#: Classes from which codes pay.
CODES_FROM = 100_000
#: Queries that are answered together.
_TOGETHER = 256
#: Threads that count bits: more of them only wait for each other.
_THREADS = 8
#: Places and similarities of the nearest rows of one query, best first.
Nearest = tuple[np.ndarray, np.ndarray]


@dataclass
class _Block:
    """So many prototypes of length 1. Rows that hold none are zero."""

    rows: Any
    live: np.ndarray
    codes: Codes | None = None

    def grow(self, n: int) -> None:
        """Hold n rows at least."""
        missing = n - len(self.live)
        if missing <= 0:
            return
        self.live = np.append(self.live, np.zeros(missing, dtype=bool))
        if isinstance(self.rows, np.ndarray):
            self.rows = np.concatenate([self.rows, np.zeros((missing, self.rows.shape[1]), dtype=np.float32)])
        else:
            self.rows.resize((n, self.rows.shape[1]))

    def put(self, at: np.ndarray, rows: Vectors) -> None:
        """Set some rows."""
        self.rows = _with_rows(self.rows, at, rows)
        self.live[at] = True
        self.codes = None

    def similarities(self, queries: Vectors, at: np.ndarray | None = None) -> np.ndarray:
        """(n_query, n_row); of these rows alone where some are named. Minus infinity where a row holds nothing."""
        rows, live = (self.rows, self.live) if at is None else (self.rows[at], self.live[at])
        found = similarities(queries, rows)
        found[:, ~live] = -np.inf
        return found


@dataclass
class Index:
    """Prototypes by their place, 0, 1, ...

    Attributes:
        codes_from: number of places from which single queries go by codes, from the second on.
        block: rows per block.
    """

    codes_from: int = CODES_FROM
    block: int = BLOCK
    _blocks: list[_Block] = field(default_factory=list)
    _size: int = 0
    _coder: Coder | None = None
    _asked: bool = False

    def put(self, places: np.ndarray, vectors: Vectors) -> None:
        """Set the rows at these places, one or more, ascending.

        Args:
            vectors: (n, d), of any length.
        """
        rows = _of_length_1(vectors)
        self._size = max(self._size, int(places[-1]) + 1)
        for first in range(0, self._size, self.block):
            number = first // self.block
            if number == len(self._blocks):
                self._blocks.append(_Block(rows[:0], np.zeros(0, dtype=bool)))
            self._blocks[number].grow(min(self.block, self._size - first))
            mine = slice(*np.searchsorted(places, (first, first + self.block)))
            if mine.start < mine.stop:
                self._blocks[number].put(places[mine] - first, rows[mine])

    def drop(self, places: np.ndarray) -> None:
        """Let the rows at these places hold nothing; some never held anything."""
        for number, at in zip(*np.divmod(places, self.block), strict=True):
            if number < len(self._blocks) and at < len(self._blocks[number].live):
                self._blocks[number].live[at] = False

    def nearest(self, queries: Vectors, k: int) -> Iterator[Nearest]:
        """The k nearest of each query (fewer where there are not as many), best first, the lower place among equals.

        Args:
            queries: (n, d), of length 1.
        """
        n, _ = shape_of(queries)
        if n == 1 and self._by_codes(k):
            yield self._nearest_by_codes(np.asarray(queries)[0], k)
            return
        for start in range(0, n, _TOGETHER):
            yield from self._nearest_exactly(queries[start : start + _TOGETHER], k)

    def _nearest_exactly(self, queries: Vectors, k: int) -> Sequence[Nearest]:
        best = [_Best(k) for _ in range(shape_of(queries)[0])]
        for number, block in enumerate(self._blocks):
            for mine, found in zip(best, block.similarities(queries), strict=True):
                mine.add(found, number * self.block)
        return [mine.nearest for mine in best]

    def _by_codes(self, k: int) -> bool:
        """Whether codes pay: they take longer to make than a single query does without them."""
        dense = self._size >= self.codes_from and isinstance(self._blocks[0].rows, np.ndarray)
        again, self._asked = self._asked, True
        return again and dense and k <= len(self._blocks)

    def _nearest_by_codes(self, query: np.ndarray, k: int) -> Nearest:
        """As exactly, but for rows whose bound says that k others are nearer."""
        coder = self._coded()
        coded = coder.query(query)
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
            bounds = list(threads.map(lambda block: coder.bounds(block.codes, coded), self._blocks))
        best = _Best(k)
        likely = [np.array([estimates.argmax()]) for estimates, _ in bounds]
        floor = np.sort([self._exact(number, query, at)[0] for number, at in enumerate(likely)])[-k]
        for number, (_, upper) in enumerate(bounds):
            at = np.flatnonzero(upper >= max(floor, best.floor))
            best.add(self._exact(number, query, at), at + number * self.block)
        return best.nearest

    def _exact(self, number: int, query: np.ndarray, at: np.ndarray) -> np.ndarray:
        return self._blocks[number].similarities(query[None], at)[0]

    def _coded(self) -> Coder:
        """What codes queries; makes the codes that are missing."""
        if self._coder is None:
            self._coder = Coder(np.mean([block.rows.mean(axis=0) for block in self._blocks], axis=0))
        for block in self._blocks:
            if block.codes is None:
                block.codes = self._coder.codes(block.rows)
        return self._coder


class _Best:
    """The best k of what was added."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._places, self._similarities = np.zeros(0, np.int64), np.zeros(0, np.float32)

    @property
    def floor(self) -> float:
        """What a row must reach to be among them."""
        return float(self._similarities[-1]) if len(self._similarities) == self._k else -1e9

    @property
    def nearest(self) -> Nearest:
        return self._places, self._similarities

    def add(self, similarities: np.ndarray, places: np.ndarray | int) -> None:
        """Consider rows (n,) at these places, or at consecutive ones from the given one on."""
        at = np.flatnonzero(similarities >= self.floor)
        if len(at) > self._k:
            # All that equal the k-th stay, so that the lower place can win.
            at = at[similarities[at] >= np.partition(similarities[at], -self._k)[-self._k]]
        if not len(at):
            return
        chosen = at + places if isinstance(places, int) else places[at]
        places, found = np.append(self._places, chosen), np.append(self._similarities, similarities[at])
        order = np.lexsort((places, -found))[: self._k]
        self._places, self._similarities = places[order], found[order]


def _of_length_1(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1, without a copy in float64: there may be a million."""
    if not isinstance(vectors, np.ndarray):
        return normalized(vectors)
    return vectors * (1 / np.sqrt(squared_lengths(vectors)))[:, None].astype(np.float32)


def _with_rows(rows: Any, at: np.ndarray, others: Vectors) -> Vectors:
    """The rows with others at some places; a dense matrix is changed where it lies."""
    if isinstance(rows, np.ndarray):
        rows[at] = others
        return rows
    from scipy.sparse import csr_array

    kept = np.ones(rows.shape[0], dtype=np.float32)
    kept[at] = 0
    everywhere = np.arange(rows.shape[0])
    keep = csr_array((kept, (everywhere, everywhere)), shape=(len(kept), len(kept)))
    spread = csr_array((np.ones(len(at), np.float32), (at, np.arange(len(at)))), shape=(len(kept), len(at)))
    return keep @ rows + spread @ others
