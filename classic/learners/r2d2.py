"""R2-D2: ridge regression as the inner loop. Bertinetto et al., ICLR 2019, arXiv 1805.08136.

The algorithm is in `classic.functional.r2d2`. The head of every episode is solved exactly, and the network is trained
through the solution.

Trap: with one shot per class the ridge decides nearly everything; it is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.learners.meta import MetaLearnerBase

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Network


@dataclass(eq=False, kw_only=True)
class R2D2(MetaLearnerBase):
    """A closed-form head on a learned network.

    Attributes:
        ridge: where the penalty on squared weights starts. scale: where the scale of the outputs starts.
    """

    name = "r2d2"
    ridge: float = 1.0
    scale: float = 10.0

    def _algorithm(self, backbone: Network) -> Algorithm:
        from classic.functional import r2d2

        return r2d2.R2D2(backbone, self.ridge, self.scale)
