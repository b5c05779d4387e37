"""The similarity below which a query is better rejected, by texts of which it is known where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot.core.errors import UsageError


@dataclass(frozen=True)
class Tuned:
    """A threshold, and what it does with the items that it was chosen by: on others it will do a little worse.

    Attributes:
        known: items of registered classes. right: how many of them are accepted, as what they are.
        others: items of no registered class. rejected: how many of them are.
    """

    threshold: float
    known: int
    right: int
    others: int
    rejected: int


def tuned(similarities: Sequence[float], right: Sequence[bool | None]) -> Tuned:
    """The threshold with the best mean of two shares: known items accepted as what they are, and others rejected.

    Args:
        similarities: of each item with its nearest class. right: whether that is its class; None where it has none.

    Raises:
        UsageError: no items of either kind.
    """
    known = np.array([similarity for similarity, fits in zip(similarities, right, strict=True) if fits is not None])
    fits = np.array([each for each in right if each is not None], dtype=bool)
    others = np.array([similarity for similarity, fits in zip(similarities, right, strict=True) if fits is None])
    if not len(known) or not len(others):
        missing = "other" if len(known) else "registered"
        raise UsageError(f"a threshold tells what is known from what is not: there are no items of {missing} classes")
    seen = np.unique(np.concatenate([known, others]))
    # Half way between two neighbours, so that none lies on the threshold; what is above all rejects all.
    between = np.append((seen[:-1] + seen[1:]) / 2, min(1.0, seen[-1] + 1e-3))
    accepted = (fits & (known >= between[:, None])).sum(axis=1)
    rejected = (others < between[:, None]).sum(axis=1)
    best = int(np.argmax(accepted / len(known) + rejected / len(others)))
    threshold = round(float(between[best]), 6)
    return Tuned(threshold, len(known), int(accepted[best]), len(others), int(rejected[best]))
