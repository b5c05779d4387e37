"""Support in rounds, as a problem has it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from evals.types import Example


def in_rounds(examples: Iterable[Example]) -> tuple[Example, ...]:
    """Support in shot rounds, as a problem has it: the first text of every class, then the second, and so on."""
    nth: dict[Any, count[int]] = {}
    ranked = [(next(nth.setdefault(example.label, count())), example) for example in examples]
    return tuple(example for _, example in sorted(ranked, key=lambda pair: (pair[0], pair[1].label)))
