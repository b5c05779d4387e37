"""Examples drawn at random, classes in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from evals.types import Gold
from fewshot.core.seeds import random_state
from icl.selectors.base import Pool
from icl.selectors.random import Random


@dataclass(frozen=True)
class Balanced(Random):
    """M examples whose classes differ by at most one in number, as long as no class runs out.

    Where M is not a multiple of the number of classes, the seed says which classes get one more.
    """

    name = "balanced"

    def draw(self, pool: Pool, seed: Sequence[Any]) -> list[int]:
        random = random_state(*seed, self.name)
        drawn: dict[Gold | None, list[int]] = {}
        for at in random.permutation(len(pool.examples)).tolist():
            drawn.setdefault(pool.examples[at].label, []).append(at)
        # The class met first is one whose example was drawn first: more likely a large class. Draw the turns apart.
        by_name = [drawn[label] for label in sorted(drawn, key=repr)]
        turns = [by_name[turn] for turn in random.permutation(len(by_name))]
        return [at for taken in zip_longest(*turns) for at in taken if at is not None]
