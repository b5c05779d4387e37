"""Model-agnostic meta-learning and its first-order form. Finn, Abbeel and Levine, ICML 2017, arXiv 1703.03400.

The algorithm is in `classic.functional.maml`. On a frozen encoder the network is x + MLP(x), the MLP at zero, and a
linear head that starts at zero in every task: before training it is a few steps of logistic regression.

Traps: the inner rate is for a mean loss, and for vectors of length `scale` (see `Scaled`); one more inner step costs as
much memory again; a head with one meta-learned row per class has nothing to learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from classic.learners.meta import MetaLearnerBase

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network
    from classic.networks.head import Headed


@dataclass(eq=False, kw_only=True)
class GradientLearner(MetaLearnerBase):
    """What MAML and its kin share.

    Attributes:
        hidden: width of the adapter on a frozen encoder.
        scale: what vectors are multiplied by before the head.
        inner_lr: step size of the inner loop.
        inner_steps: inner steps in training. test_steps: at test time; None takes `inner_steps`.
    """

    hidden: int = 64
    scale: float = 10.0
    inner_lr: float = 0.1
    inner_steps: int = 5
    test_steps: int | None = None

    def _adapter(self, width: int) -> Network:
        from classic.networks.mlp import Residual

        return Residual(width, self.hidden)

    def _headed(self, backbone: Network, start: Literal["zero", "shared"] = "zero") -> Headed:
        """Backbone and head. The head starts alike for all classes, since class numbers mean nothing."""
        from classic.networks.head import Headed
        from classic.networks.wrappers import Scaled

        return Headed(Scaled(backbone, self.scale), start)


@dataclass(eq=False, kw_only=True)
class MAML(GradientLearner):
    """MAML, second order.

    Attributes:
        learn_inner_lr: meta-learn the inner step size.
    """

    name = "maml"
    first_order = False
    learn_inner_lr: bool = True

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import maml

        return maml.MAML(
            self._headed(backbone),
            self.inner_lr,
            self.inner_steps,
            self.test_steps,
            first_order=self.first_order,
            learn_inner_lr=self.learn_inner_lr,
        )
