"""Meta-SGD. Li, Zhou, Chen and Li 2017, arXiv 1707.09835.

MAML that also meta-learns a step size, and with it a direction, for every parameter:
w <- w - alpha * grad, elementwise. Alpha is unbounded and may turn negative, as in the paper.

Trap: an alpha per class would give meaning to class numbers, which have none; a head that starts "zero" or "shared"
has one row of step sizes for all classes. Twice the parameters of MAML: with few training classes it overfits sooner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.maml import MAML
from classic.functional.base import OWN
from classic.learners.meta import meta_learner

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from classic.functional.base import Params

ALPHA = OWN + "alpha."


@dataclass(frozen=True)
class MetaSGD(MAML):
    """MAML with learned step sizes that begin at `inner_lr`. Arguments are those of `MAML`.

    The paper takes one inner step, and draws the first step sizes from U[0.005, 0.1].
    """

    inner_steps: int = 1

    name = "metasgd"

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, and `meta.alpha.NAME` for each that the inner loop adapts."""
        import torch

        params = self.network.init(generator)
        shapes = {name: value.shape for name, value in params.items()} | self.network.head_shapes
        return params | {ALPHA + name: torch.full(shape, self.inner_lr) for name, shape in shapes.items()}

    def _rate(self, params: Params) -> float | Tensor | Mapping[str, Tensor]:
        return {name.removeprefix(ALPHA): value for name, value in params.items() if name.startswith(ALPHA)}


# The head is "shared", so that there is one row of step sizes for all classes.
Learner = meta_learner(MetaSGD, head="shared", without=("first_order", "learn_inner_lr", "loss"), inner_steps=5)
