"""MetaOptNet with ridge regression. Lee, Maji, Ravichandran and Soatto, CVPR 2019, arXiv 1904.03758.

A convex problem is solved for the head of every task, in its dual (as many unknowns as support texts), and the outer
gradient goes through the solution. The paper's first choice is a support vector machine; its second, ridge regression,
needs no solver of quadratic programs.

Against `r2d2`: the penalty is an argument and not learned, there is no shift, and labels are smoothed in training. The
factor 2 of the paper's dual is part of `scale` here.

Traps: the penalty is in units of squared feature lengths, and the paper's 50, which goes with a ResNet, is far too much
for vectors of length 1; training episodes of more shots than the test has serve the paper well, and frozen vectors
badly: 10 shots for a test of 1 lost 1.0 point on BANKING77 (150 steps, validation classes), where 1 shot gained 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.r2d2 import Solution, ridge_regression
from classic.functional.base import OWN, Network, network_params
from classic.functional.episodic import Episodic
from classic.functional.losses import mask_classes, masked_mean, one_hot
from classic.learners.meta import meta_learner
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


@dataclass(frozen=True)
class MetaOptNet(Episodic):
    """A ridge regression head.

    Args:
        network: embeds texts.
        ridge: the penalty on the squared weights.
        scale: outputs are multiplied by it. Meta-learned from here.
        smoothing: share of the target that goes to all classes alike, in training.
    """

    network: Network
    ridge: float = 1.0
    scale: float = 10.0
    smoothing: float = 0.1

    name = "metaoptnet"

    def __post_init__(self) -> None:
        if self.ridge <= 0:
            raise UsageError(f"ridge {self.ridge} must be above 0, or the system has no unique solution")
        if not 0 <= self.smoothing < 1:
            raise UsageError(f"smoothing {self.smoothing} must be from 0 to below 1; it is a share of the target")

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, and `meta.scale` ()."""
        import torch

        return self.network.init(generator) | {OWN + "scale": torch.tensor(self.scale)}

    def adapt(self, params: Params, task: TensorTask) -> Solution:
        """Solve the head of the task."""
        embedded = self.network.apply(network_params(params), task.support_x) * task.support_mask[:, None]
        targets = one_hot(task.support_y, len(task.class_mask), task.support_mask)
        weights = ridge_regression(embedded, targets, embedded.new_full((), self.ridge))
        return Solution(weights, task.class_mask, params)

    def logits(self, fast: Solution, query_x: Tensor) -> Tensor:
        """(n_query, way) scaled regression outputs."""
        outputs = self.network.apply(network_params(fast.params), query_x) @ fast.weights
        return mask_classes(fast.params[OWN + "scale"] * outputs, fast.class_mask)

    def objective(self, logits: Tensor, fast: Solution, task: TensorTask) -> Tensor:
        """Cross-entropy against smoothed labels."""
        likely = logits.log_softmax(dim=-1)
        target = one_hot(task.query_y, logits.shape[-1], task.query_mask)
        alike = task.class_mask / task.class_mask.sum().clamp(min=1)
        smooth = (1 - self.smoothing) * target + self.smoothing * alike
        return masked_mean(-(smooth * likely).sum(dim=-1), task.query_mask)


Learner = meta_learner(MetaOptNet)
