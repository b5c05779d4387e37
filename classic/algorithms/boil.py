"""BOIL: body only update in inner loop. Oh, Yoo, Kim and Yun, ICLR 2021, arXiv 2008.08882.

The mirror image of ANIL: the inner loop moves the body and leaves the head as it is, so that what changes for a task
is the representation, towards directions that the head gives to the classes.

Traps: rows of the head must differ, or the body has nothing to move towards, so a head that starts "zero" or "shared"
learns nothing; the paper learns one row per class ("learned"), whose order means nothing. Rows that know nothing of the
classes began 55 to 73 points below prototypes on texts, so that the learner's are the class means ("prototypes").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.maml import MAML, Adapted
from classic.functional.inner import descend
from classic.learners.meta import meta_learner
from classic.networks.head import BODY, Headed
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


@dataclass(frozen=True)
class BOIL(MAML):
    """MAML on the body. Arguments are those of `MAML`."""

    network: Headed

    name = "boil"

    def __post_init__(self) -> None:
        if self.network.start in ("zero", "shared"):
            raise UsageError(
                f"a head that starts {self.network.start!r} gives the body no direction; let it be 'fixed'"
            )

    def _descend(self, params: Params, task: TensorTask, steps: int) -> Adapted:
        begin = self._begin(params, task)

        def loss(body: Params) -> Tensor:
            return self._support_loss(begin | body, task)

        body = {name: value for name, value in begin.items() if name.startswith(BODY)}
        fast = descend(loss, body, self._rate(params), steps, self.first_order)
        return Adapted(begin | fast, task.class_mask)


Learner = meta_learner(BOIL, head="prototypes", without=("first_order", "loss"), learn_inner_lr=True, scale=2.0)
