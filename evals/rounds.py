"""Support in rounds, as a problem has it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

from evals.types import Example, Gold


def rounds(examples: Iterable[Example]) -> list[tuple[Example, ...]]:
    """Rounds of at most one example per class: the first of every class, then the second, and so on.

    Within a round, classes stand in the order in which they occur first.
    """
    of_class: dict[Gold | None, list[Example]] = {}
    for example in examples:
        of_class.setdefault(example.label, []).append(example)
    return [tuple(one for one in found if one is not None) for found in zip_longest(*of_class.values())]


def in_rounds(examples: Iterable[Example]) -> tuple[Example, ...]:
    """All rounds one after the other, as a problem has its support, each in the order of the labels."""
    return tuple(example for one in rounds(examples) for example in sorted(one, key=lambda each: str(each.label)))
