"""Prototypical networks, meta-trained. Snell, Swersky and Zemel, NeurIPS 2017, arXiv 1703.05175.

The algorithm is in `classic.functional.protonet`. On a frozen encoder the network is x + MLP(x) with the MLP at zero:
training starts from the prototypes of the encoder, and early stopping keeps the start if nothing is better.

Traps: the paper trains with more classes than it tests with, and so does this; the shot is that of the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.functional.distances import Distance
from classic.learners.meta import MetaLearnerBase

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class ProtoNet(MetaLearnerBase):
    """Nearest class mean in a learned space.

    Attributes:
        distance: "euclidean" (squared) or "cosine".
        temperature: logits are divided by it; None is 1 for euclidean and 0.1 for cosine. It is the starting point:
            training moves it.
        hidden: width of the adapter on a frozen encoder.
    """

    name = "protonet"
    distance: Distance = "cosine"
    temperature: float | None = None
    hidden: int = 256
    train_way: int | None = 20

    def _adapter(self, width: int) -> Network:
        from classic.networks.mlp import Residual

        return Residual(width, self.hidden)

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import protonet

        return protonet.ProtoNet(backbone, self.distance, self.temperature, learn_temperature=True)
