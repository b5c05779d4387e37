"""Meta-SGD. Li, Zhou, Chen and Li 2017, arXiv 1707.09835.

The algorithm is in `classic.functional.metasgd`: MAML that learns a step size for every parameter.

Trap: twice the parameters of MAML; with few training classes it overfits sooner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.learners.maml import GradientLearner

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class MetaSGD(GradientLearner):
    """MAML with a learned step size for every parameter."""

    name = "metasgd"

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import metasgd

        # "shared": one row of step sizes for all classes.
        return metasgd.MetaSGD(self._headed(backbone, "shared"), self.inner_lr, self.inner_steps, self.test_steps)
