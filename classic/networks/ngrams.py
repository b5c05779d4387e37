"""A bag of hashed n-grams: the mean of their embeddings. Joulin et al., EACL 2017, arXiv 1607.01759 (fastText).

Words and character n-grams have one table; an n-gram that training never saw keeps its random vector, so that a support
text and a query still meet in it. Nothing else here knows unseen words, and with little data this is the strongest of
the encoders trained from scratch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.functional.base import Described
from classic.networks.text import NgramIds, mean_over_tokens, token_mask, unit

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


@dataclass(frozen=True)
class NgramBag(Described):
    """x: (n, length) n-gram ids -> (n, features), of length 1.

    Args:
        features: columns of an embedding.
        buckets: rows of the table. A gradient-based learner copies it for every task of a chunk.
        max_length: n-grams per text.
    """

    features: int = 128
    buckets: int = 2**15
    max_length: int = 384
    name = "ngrams"
    vectorizes = True
    lr = 1e-3

    def inputs(self) -> NgramIds:
        """Hashed n-grams."""
        return NgramIds(self.buckets, self.max_length)

    def init(self, generator: torch.Generator) -> Params:
        """`table` (buckets, features): nearly orthogonal rows, so an untrained bag compares n-gram counts."""
        import torch

        return {"table": torch.randn(self.buckets, self.features, generator=generator) / self.features**0.5}

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, length) -> (n, features)."""
        from torch.nn.functional import embedding

        return unit(mean_over_tokens(embedding(x, params["table"]), token_mask(x)))
