"""Siamese networks. Koch, Zemel and Salakhutdinov, ICML Deep Learning Workshop 2015.

The algorithm is in `classic.functional.siamese`: pairs of texts are told to be of the same class or not.

Trap: pairs are judged one by one, so nothing in training compares the classes of an episode with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from classic.learners.meta import MetaLearnerBase

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class Siamese(MetaLearnerBase):
    """The class whose support texts look most like the query.

    Attributes:
        aggregate: a class scores the "mean" or the "max" over its support texts.
    """

    name = "siamese"
    aggregate: Literal["mean", "max"] = "mean"

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import siamese

        return siamese.Siamese(backbone, self.aggregate)
