"""Matching networks. Vinyals et al., NeurIPS 2016, arXiv 1606.04080.

The algorithm is in `classic.functional.matching`. A query attends to support texts, not to class means: with one shot
it is a prototypical network by cosine, with more it is a soft nearest neighbour.

Trap: `full_context` makes the embedding of a support text depend on the others and on their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.learners.meta import MetaLearnerBase

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class Matching(MetaLearnerBase):
    """Attention over the support.

    Attributes:
        temperature: cosines are divided by it.
        full_context: full context embeddings.
        reads: steps of the LSTM that reads a query, with full context.
    """

    name = "matching"
    temperature: float = 0.1
    full_context: bool = False
    reads: int = 5

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import matching

        return matching.Matching(backbone, self.temperature, self.full_context, self.reads)
