"""The examples after which a language model finds the query least surprising: TopK + ConE.

Peng et al., ACL 2024, "Revisiting Demonstration Selection Strategies in In-Context Learning" (arXiv 2401.12087): an
example helps as far as it lowers the conditional entropy of the query's text x given the example c,

    H(x | c) = H(x, c) - H(c) = -log p(x | c).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evals.types import Query
from fewshot.core.errors import UsageError
from icl.asking import Reader, required
from icl.parts import between
from icl.selectors.base import Pick, Pool
from icl.selectors.knn import KNN


@dataclass(frozen=True)
class ConE(KNN):
    """Of the `fetch` examples most similar to the query, the M with the smallest H(x | c), smallest first.

    Each candidate is shown alone, as the prompt's template writes it, and the model that will answer reads the query
    behind it: `fetch` short prompts per query, which are computed once more where a prompt is previewed.

    Args:
        fetch: candidates per query; the paper takes 30.
        reader: the model to be asked; the learner gives its own.
    """

    name = "cone"

    fetch: int = field(default=30, kw_only=True)
    reader: Reader | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.fetch, int) and between(self.fetch, 1)):
            raise UsageError(f"cone:fetch={self.fetch} is no number of examples: give 1 or more")
        _ = self._encoded, self._built  # one that is given a model shares the vectors of this one

    def rank(
        self, queries: Sequence[Query], pool: Pool, m: int, excluded: Sequence[frozenset[int]], seed: Sequence[Any]
    ) -> list[list[Pick]]:
        reader = required(self)
        near = super().rank(queries, pool, min(max(self.fetch, m), len(pool.examples)) if m else 0, excluded, seed)
        asked = [(pick, query) for picks, query in zip(near, queries, strict=True) for pick in picks]
        surprise = iter(np.round(reader.surprise(asked), 3).tolist() if asked else ())
        told = [[Pick(pick.example, -next(surprise)) for pick in picks] for picks in near]
        return [sorted(picks, key=lambda pick: -(pick.similarity or 0.0))[:m] for picks in told]
