"""R2-D2: ridge regression as the inner loop. Bertinetto, Henriques, Torr and Vedaldi, ICLR 2019, arXiv 1805.08136.

The head of every task is ridge regression from embeddings to class indicators, solved exactly; the network is trained
through the solution. With n support texts of d features the (n, n) system is solved where n < d (Woodbury), else the
(d, d) one.

Traps: regression outputs are no logits, hence a learned scale and shift before the softmax; there is no intercept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from classic.functional.base import OWN, Network, network_params
from classic.functional.episodic import Episodic
from classic.functional.losses import mask_classes, one_hot
from classic.learners.meta import meta_learner
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


class Solution(NamedTuple):
    """(d, way) weights, (way,) which classes exist, all parameters."""

    weights: Tensor
    class_mask: Tensor
    params: Params


@dataclass(frozen=True)
class R2D2(Episodic):
    """A closed-form head.

    Args:
        network: embeds texts.
        ridge: the penalty on the squared weights. Meta-learned, as its logarithm, from here.
        scale: outputs are multiplied by it. Meta-learned from here.
    """

    network: Network
    ridge: float = 1.0
    scale: float = 10.0

    name = "r2d2"

    def __post_init__(self) -> None:
        if self.ridge <= 0:
            raise UsageError(f"ridge {self.ridge} must be above 0, or the system has no unique solution")

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.log_ridge`, `meta.scale` and `meta.shift`, all ()."""
        import torch

        own = {"log_ridge": torch.tensor(self.ridge).log(), "scale": torch.tensor(self.scale), "shift": torch.zeros(())}
        return self.network.init(generator) | {OWN + name: value for name, value in own.items()}

    def adapt(self, params: Params, task: TensorTask) -> Solution:
        """Solve the head of the task."""
        embedded = self.network.apply(network_params(params), task.support_x) * task.support_mask[:, None]
        targets = one_hot(task.support_y, len(task.class_mask), task.support_mask)
        weights = ridge_regression(embedded, targets, params[OWN + "log_ridge"].exp())
        return Solution(weights, task.class_mask, params)

    def logits(self, fast: Solution, query_x: Tensor) -> Tensor:
        """(n_query, way) scaled and shifted regression outputs."""
        outputs = self.network.apply(network_params(fast.params), query_x) @ fast.weights
        return mask_classes(fast.params[OWN + "scale"] * outputs + fast.params[OWN + "shift"], fast.class_mask)


def ridge_regression(x: Tensor, y: Tensor, ridge: Tensor) -> Tensor:
    """The minimiser of |x w - y|^2 + ridge |w|^2. Zero rows of x and y change nothing.

    Args:
        x: (n, d).
        y: (n, way).
        ridge: ().

    Returns:
        (d, way).
    """
    import torch

    n, d = x.shape
    if n < d:
        return x.mT @ torch.linalg.solve(x @ x.mT + ridge * torch.eye(n, dtype=x.dtype, device=x.device), y)
    return torch.linalg.solve(x.mT @ x + ridge * torch.eye(d, dtype=x.dtype, device=x.device), x.mT @ y)


Learner = meta_learner(R2D2)
