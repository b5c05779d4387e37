"""CAVIA: fast context adaptation via meta-learning. Zintgraf et al., ICML 2019, arXiv 1810.03642.

A task is learned by a few numbers alone, the context, which begin at zero in every task and modulate the features, as
FiLM does: f * (1 + A c) + B c. All else is the same for every task, and meta-learned.

Traps: the context is no meta-parameter, so nothing carries over from one task to the next; a context of zero must leave
the network as it is; with a head per class whose order means nothing, the context would have to carry that order too.
Here the head may start at the class means ("prototypes"), which the context then corrects.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from classic.algorithms.maml import MAML, Adapted
from classic.functional.base import OWN
from classic.functional.inner import descend, restricted
from classic.functional.losses import task_loss
from classic.learners.meta import meta_learner
from classic.networks.head import Headed
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

SCALE, SHIFT, CONTEXT = OWN + "context.scale", OWN + "context.shift", "context"


@dataclass(frozen=True)
class CAVIA(MAML):
    """MAML on a context alone. Other arguments are those of `MAML`.

    Args:
        n_context: numbers that are adapted.
    """

    network: Headed
    n_context: int = 32
    inner_lr: float = 1.0
    inner_steps: int = 2

    name = "cavia"

    def __post_init__(self) -> None:
        if self.n_context < 1:
            raise UsageError(f"n_context {self.n_context} is too small: at least one number must be adapted")

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.context.scale` and `meta.context.shift` (features, n_context)."""
        import torch

        size = (self.network.features, self.n_context)
        own = {name: torch.randn(size, generator=generator) / sqrt(self.n_context) for name in (SCALE, SHIFT)}
        return super().init(generator) | own

    def logits(self, fast: Adapted, query_x: Tensor) -> Tensor:
        """(n_query, way) logits, or (n_query, d) predictions, in the context of the task."""
        features = self.network.embed(fast.params, query_x)
        return self._classified(fast.params, features, fast.class_mask)

    def _descend(self, params: Params, task: TensorTask, steps: int) -> Adapted:
        begin = self._begin(params, task) | {name: params[name] for name in (SCALE, SHIFT)}
        features = self.network.embed(begin, task.support_x)

        def loss(context: Params) -> Tensor:
            inputs = features.detach() if self.first_order else features
            outputs = self._classified(begin | context, inputs, task.class_mask)
            return task_loss(outputs, task.support_y, task.support_mask, self.loss)

        context = {CONTEXT: task.class_mask.new_zeros(self.n_context)}
        return Adapted(begin | descend(loss, context, self._rate(params), steps, self.first_order), task.class_mask)

    def _classified(self, params: Params, features: Tensor, class_mask: Tensor) -> Tensor:
        context = params[CONTEXT]
        modulated = features * (1 + params[SCALE] @ context) + params[SHIFT] @ context
        return restricted(self.network.classify(params, modulated), class_mask, self.loss)


Learner = meta_learner(CAVIA, head="prototypes", without=("first_order", "loss"), learn_inner_lr=True, scale=2.0)
