"""One classifier of all training classes, then a new linear head per episode.

Chen et al., ICLR 2019, arXiv 1904.04232 ("Baseline"); Tian et al., ECCV 2020, arXiv 2003.11539. Training imitates no
episodes: every text is classified among all base classes at once. At test time the base head is dropped and logistic
regression is fitted on the support, by gradient descent, so that episodes run together.

Traps: classes of the same name in two training tasks become one; the base head must go, for its rows mean nothing to
new classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.anil import ANIL
from classic.functional.base import OWN, network_params
from classic.functional.inner import outcome
from classic.learners.meta import meta_learner
from classic.networks.mlp import linear_params

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

_WEIGHT, _BIAS = OWN + "base.weight", OWN + "base.bias"


@dataclass(frozen=True)
class Multitask(ANIL):
    """Trains on base classes; adapts a new head as ANIL does.

    Args:
        base_classes: how many there are. Training tasks number their classes among all of them.
    """

    inner_steps: int = 50
    base_classes: int = 0

    name = "multitask"

    @property
    def second_order(self) -> bool:
        """Training has no inner loop."""
        return False

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, and the base head."""
        return self.network.init(generator) | base_head(self.network.features, self.base_classes, generator)

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """Gradient of the cross-entropy over the base classes, support and queries alike."""
        return base_class_gradient(lambda params, x: self.network.embed(network_params(params), x), params, task)


def base_head(features: int, base_classes: int, generator: torch.Generator) -> Params:
    """`meta.base.weight` (base_classes, features) and `meta.base.bias` (base_classes,)."""
    base = linear_params(features, base_classes, generator)
    return {_WEIGHT: base["weight"], _BIAS: base["bias"]}


def base_class_gradient(
    embed: Callable[[Params, Tensor], Tensor], params: Params, task: TensorTask
) -> tuple[Params, dict[str, Tensor]]:
    """Gradient of the cross-entropy over the base classes, support and queries alike, and its metrics.

    Args:
        embed: all parameters and (n, ...) rows -> (n, features), which the base head reads.
        params: those of `base_head` among them.
        task: numbers its classes among all base classes.
    """
    import torch
    from torch.func import grad_and_value
    from torch.nn.functional import linear

    rows = task._replace(
        query_x=torch.cat([task.support_x, task.query_x]),
        query_y=torch.cat([task.support_y, task.query_y]),
        query_mask=torch.cat([task.support_mask, task.query_mask]),
    )

    def loss(params: Params) -> tuple[Tensor, dict[str, Tensor]]:
        outputs = linear(embed(params, rows.query_x), params[_WEIGHT], params[_BIAS])
        return outcome(outputs, rows, "cross_entropy")

    gradient, (value, metrics) = grad_and_value(loss, has_aux=True)(params)
    return gradient, metrics | {"diverged": (~value.isfinite()).to(value.dtype)}


Learner = meta_learner(
    Multitask, head="zero", without=("first_order", "test_steps", "learn_inner_lr", "loss"), hidden=256, train_way=20
)
