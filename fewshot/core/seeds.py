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


def random_state(*parts: Any) -> np.random.RandomState:
    """A generator seeded by `parts`.

    RandomState, not Generator: NumPy froze its streams for good (NEP 19), so an episode drawn today is the
    episode drawn by any later version.
    """
    hashed = hashlib.sha256(canonical_json(parts).encode("utf-8")).digest()
    return np.random.RandomState(np.frombuffer(hashed, dtype=np.uint32))
