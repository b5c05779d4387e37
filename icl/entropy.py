"""The order of demonstrations after which a model spreads its answers most evenly over the labels: GlobalE and LocalE.

Lu et al., ACL 2022, "Fantastically Ordered Prompts and Where to Find Them" (arXiv 2104.08786): orders after which a
model gives everything the same label are bad ones, and no gold label is needed to find them. The paper lets the model
write the texts to be asked about; here they are those of the support, which are at hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from typing import Any, Literal

import numpy as np

from evals.types import Query
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.seeds import random_state
from icl.asking import Reader, required
from icl.parts import Part, between
from icl.selectors.base import Pick


@dataclass(frozen=True)
class Entropy(Part):
    """Of some orders, the one that spreads the answers most. The texts asked about are those of the support.

    Every order reads every text with all demonstrations: `orders` times `probes` prompts per set of demonstrations. It
    is meant for selectors that show all queries the same ones.

    Args:
        orders: drawn at random, or all where there are no more. probes: texts of the support, drawn too.
        of: "global" for the entropy of the answers' shares, "local" for the mean entropy of the probabilities (LocalE).
        reader: the model to be asked; the learner gives its own.
    """

    name = "entropy"

    orders: int = 24
    probes: int = 16
    of: Literal["global", "local"] = "global"
    reader: Reader | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("orders", "probes"):
            if not (isinstance(value := getattr(self, name), int) and between(value, 1)):
                raise UsageError(f"entropy:{name}={value} is too small: give 1 or more")
        if self.of not in ("global", "local"):
            raise unknown_name("entropy", str(self.of), ("global", "local"))

    def order(self, picks: Sequence[Pick], query: Query, seed: Sequence[Any] = ()) -> list[Pick]:
        """Raises UsageError where there is no model to ask, or a text and all demonstrations do not fit."""
        reader = required(self)
        shown = tuple(sorted(picks, key=lambda pick: pick.example.id))
        ids = tuple(pick.example.id for pick in shown)
        if ids not in self._found:
            random = random_state(*seed, self.name)
            drawn = random.permutation(len(reader.examples))[: self.probes].tolist()
            probes = [Query(row.id, row.text, row.fields) for row in (reader.examples[at] for at in drawn)]
            if not all(reader.fits(shown, probe) for probe in probes):
                raise UsageError("ordering 'entropy' needs room for all demonstrations: show fewer, as with --demos 4")
            orders = _orders(shown, self.orders, random)
            spread = [self._entropy(reader.label_probabilities([(each, probe) for probe in probes])) for each in orders]
            self._found[ids] = list(orders[int(np.argmax(np.round(spread, 6)))])
        return self._found[ids]

    def _entropy(self, probabilities: np.ndarray) -> float:
        if self.of == "local":
            return float(np.mean([entropy(row) for row in probabilities]))
        votes = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
        return entropy(votes / votes.sum())

    @cached_property
    def _found(self) -> dict[tuple[str, ...], list[Pick]]:
        return {}


def entropy(shares: np.ndarray) -> float:
    """Of shares that sum to 1, in nats."""
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum())


def _orders(picks: Sequence[Pick], n: int, random: np.random.RandomState) -> list[list[Pick]]:
    """`n` different orders drawn at random, or all where there are no more."""
    if math.factorial(min(len(picks), 20)) <= n:
        return [list(each) for each in permutations(picks)]
    found: dict[tuple[int, ...], None] = {}
    while len(found) < n:
        found[tuple(random.permutation(len(picks)).tolist())] = None
    return [[picks[at] for at in each] for each in found]
