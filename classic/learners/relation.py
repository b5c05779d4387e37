"""Relation networks. Sung et al., CVPR 2018, arXiv 1711.06025.

The algorithm is in `classic.functional.relation`. The similarity itself is learned, from two embeddings side by side.

Trap: an untrained relation module knows nothing, whatever the encoder: unlike the other metric learners this one starts
at chance, and needs more steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from classic.learners.meta import MetaLearnerBase

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class Relation(MetaLearnerBase):
    """A learned similarity of queries and classes.

    Attributes:
        hidden: width of the relation module.
        loss: "mse" as in the paper, or "cross_entropy" over the classes.
    """

    name = "relation"
    hidden: int = 64
    loss: Literal["mse", "cross_entropy"] = "mse"
    steps: int = 1500
    lr: float | None = 1e-3
    eval_every: int = 100

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import relation

        return relation.Relation(backbone, self.hidden, self.loss)
