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
        from classic.networks.head import Headed

        # One row of head and step sizes for all classes, since class numbers mean nothing.
        return metasgd.MetaSGD(Headed(backbone, start="shared"), self.inner_lr, self.inner_steps, self.test_steps)
