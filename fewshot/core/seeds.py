"""Random choices as functions of what they are for, never of the order in which they were made."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from fewshot.core.hashing import canonical_json


def seed_of(*parts: Any) -> int:
    """A 63-bit seed that depends on `parts` (JSON values) and on nothing else."""
    hashed = hashlib.sha256(canonical_json(parts).encode("utf-8")).digest()
    return int.from_bytes(hashed[:8], "big") >> 1


class Lots:
    """A stream of random numbers that depends on `parts` (JSON values) and on nothing else.

    One of them serves all choices of one purpose, each of which takes as many numbers as there is to choose from: what
    is made of one choice moves no later one. The generator is counter-based (Philox 4x64), and only its words are used:
    how NumPy makes numbers of words may change between its versions, the words may not (NEP 19).

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """

    def __init__(self, *parts: Any) -> None:
        hashed = hashlib.sha256(canonical_json(parts).encode("utf-8")).digest()
        self._words = np.random.Philox(key=np.frombuffer(hashed, "<u8", 2))

    def order(self, n: int) -> list[int]:
        """A random order of range(n)."""
        return self._lots(n).argsort().tolist()

    def ends(self, n: int, front: int, back: int) -> tuple[list[int], list[int]]:
        """The first `front` of a random order of range(n), and its last `back`, last first."""
        lots = self._lots(n)
        bounds = [at for at in (front, n - back) if 0 < at < n]
        apart = lots.argpartition(bounds) if bounds else np.arange(n)
        first, last = apart[:front], apart[max(n - back, 0) :]
        return first[lots[first].argsort()].tolist(), last[lots[last].argsort()[::-1]].tolist()

    def _lots(self, n: int) -> np.ndarray:
        """One number of 64 bits for each: two are equal once in 2^64."""
        return self._words.random_raw(n)


def random_state(*parts: Any) -> np.random.RandomState:
    """A generator seeded by `parts`.

    RandomState, not Generator: NumPy froze its streams for good (NEP 19), so an episode drawn today is the
    episode drawn by any later version.
    """
    hashed = hashlib.sha256(canonical_json(parts).encode("utf-8")).digest()
    return np.random.RandomState(np.frombuffer(hashed, dtype=np.uint32))
