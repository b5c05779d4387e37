"""ANIL: almost no inner loop. Raghu, Raghu, Bengio and Vinyals, ICLR 2020, arXiv 1909.09157.

MAML whose inner loop adapts the head alone; the backbone is meta-learned and the same for every task. Features are
therefore computed once per task and not once per step. On frozen vectors (an `Identity` backbone) it is logistic
regression cut off after a few steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.maml import MAML, Adapted
from classic.functional.inner import descend, restricted
from classic.functional.losses import task_loss
from classic.learners.meta import meta_learner
from classic.networks.head import HEAD, Headed

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


@dataclass(frozen=True)
class ANIL(MAML):
    """MAML on the head. Arguments are those of `MAML`."""

    network: Headed

    name = "anil"
    inner_steps: int = 10

    def _descend(self, params: Params, task: TensorTask, steps: int) -> Adapted:
        begin = self._begin(params, task)
        features = self.network.embed(begin, task.support_x)

        def loss(head: Params) -> Tensor:
            # For the first order, too, the backbone learns through the queries alone.
            inputs = features.detach() if self.first_order else features
            outputs = restricted(self.network.classify(head, inputs), task.class_mask, self.loss)
            return task_loss(outputs, task.support_y, task.support_mask, self.loss)

        head = {name: value for name, value in begin.items() if name.startswith(HEAD)}
        fast = descend(loss, head, self._rate(params), steps, self.first_order)
        return Adapted(begin | fast, task.class_mask)


Learner = meta_learner(ANIL, head="zero", without=("first_order", "loss"), learn_inner_lr=True)
