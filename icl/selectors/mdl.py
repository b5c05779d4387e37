"""The examples, and their order, after which the model needs the fewest bits to tell the label: TopK + MDL.

Wu et al., ACL 2023, "Self-Adaptive In-Context Learning: An Information Compression Perspective for In-Context Example
Selection and Ordering" (arXiv 2212.10375). Of the label y no gold is known, so its description length after the
examples c and the query x is its expectation over what the model itself answers,

    L(y | x, c) = - sum_y p(y | x, c) log p(y | x, c),

the entropy of the probabilities of the labels. Trap: a model that is sure of one label whatever is asked is brief, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evals.types import Query
from fewshot.core.errors import UsageError
from fewshot.core.seeds import random_state
from icl.asking import Reader, required
from icl.entropy import entropy
from icl.parts import between
from icl.selectors.base import Pick, Pool, Selector
from icl.selectors.knn import KNN


@dataclass(frozen=True)
class MDL(KNN):
    """Of some ordered sets of M among the `fetch` most similar examples, the one after which labels are told briefest.

    The first set is that of `knn`; the others are drawn at random, in random order: `sets` whole prompts per query.
    `--order given` keeps the order that was found.

    Args:
        fetch: candidates per query; the paper takes 30. sets: how many are tried.
        reader: the model to be asked; the learner gives its own.
        balanced: draw sets whose classes differ by at most one as far as the candidates allow.
    """

    name = "mdl"

    fetch: int = field(default=30, kw_only=True)
    sets: int = field(default=10, kw_only=True)
    reader: Reader | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("fetch", "sets"):
            if not (isinstance(value := getattr(self, name), int) and between(value, 1)):
                raise UsageError(f"mdl:{name}={value} is too small: give 1 or more")
        _ = self._encoded, self._built  # one that is given a model shares the vectors of this one

    def select(
        self, queries: Sequence[Query | str | Mapping[str, Any]], pool: Pool, m: int, seed: Sequence[Any] = ()
    ) -> list[list[Pick]]:
        """As `Selector.select`: sets are balanced as they are drawn, and not class by class."""
        return Selector.select(self, queries, pool, m, seed)

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        reader = required(self)
        near = super().rank(queries, pool, min(max(self.fetch, m), len(pool.examples)) if m else 0, excluded, seed)
        tried = [self._sets(picks, m, seed) for picks in near]
        asked = [(each, query) for sets, query in zip(tried, queries, strict=True) for each in sets]
        fits = [reader.fits(each, query) for each, query in asked]
        probable = iter(reader.label_probabilities([one for one, fine in zip(asked, fits, strict=True) if fine]))
        lengths = iter([round(entropy(next(probable)), 6) if fine else np.inf for fine in fits])
        return [self._briefest(sets, [next(lengths) for _ in sets]) for sets in tried]

    def _briefest(self, sets: Sequence[list[Pick]], lengths: Sequence[float]) -> list[Pick]:
        """The set of the smallest length, the first of several."""
        if not np.isfinite(lengths).any():
            raise UsageError("selector 'mdl' needs room for all demonstrations: show fewer, as with --demos 4")
        return sets[int(np.argmin(lengths))]

    def _sets(self, near: Sequence[Pick], m: int, seed: Sequence[Any]) -> list[list[Pick]]:
        """Different ordered sets; fewer where there are no more."""
        random = random_state(*seed, self.name)
        found = {tuple(self._in_turns(range(len(near)), near)[:m]): None}
        for _ in range(self.sets - 1):
            drawn = self._in_turns(random.permutation(len(near)).tolist(), near)[:m]
            found[tuple(drawn[at] for at in random.permutation(len(drawn)))] = None
        return [[near[at] for at in each] for each in found]

    def _in_turns(self, order: Sequence[int], near: Sequence[Pick]) -> list[int]:
        """Positions in that order or, where sets are balanced, first one of each class, then another."""
        if not self.balanced:
            return list(order)
        seen: Counter[Any] = Counter()
        turn: dict[int, int] = {}
        for at in order:
            label = near[at].example.label
            turn[at] = seen[label]
            seen[label] += 1
        return sorted(order, key=turn.__getitem__)
