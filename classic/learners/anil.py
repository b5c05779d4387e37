"""ANIL: almost no inner loop. Raghu et al., ICLR 2020, arXiv 1909.09157.

The algorithm is in `classic.functional.anil`: the inner loop adapts the head alone, on features that are the same in
all of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.learners.maml import GradientLearner

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class ANIL(GradientLearner):
    """MAML on the head.

    Attributes:
        learn_inner_lr: meta-learn the inner step size.
    """

    name = "anil"
    inner_steps: int = 10
    learn_inner_lr: bool = True

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import anil

        network = self._headed(backbone)
        return anil.ANIL(network, self.inner_lr, self.inner_steps, self.test_steps, learn_inner_lr=self.learn_inner_lr)
