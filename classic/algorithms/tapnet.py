"""TapNet: attentional prototypes. Zhang, Gao, Lin and Lu, AAAI 2020, "TapNet: Multivariate Time Series Classification
with Attentional Prototypical Network".

A class is a weighted mean of its support embeddings: the weights are a softmax over the rows of the class of
w' tanh(V x). A query's logits are its negative squared Euclidean distances to the prototypes (or cosines).

Traps: in the paper w and V belong to a class, since its classes are fixed; here classes are new in every task, and all
share one w and V. With one shot the weight is 1 whatever was learned. `w` starts at zero, so that training starts at
the class means. The encoder of time series, the paper's other half, is `classic/networks/series.py`.
The semi-supervised variant, which lets unlabelled series into the attention, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.protonet import ProtoNet, Prototypes
from classic.functional.base import OWN, network_params
from classic.functional.losses import ABSENT, one_hot
from classic.learners.meta import meta_learner
from classic.networks.mlp import linear_params

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


@dataclass(frozen=True)
class TapNet(ProtoNet):
    """Prototypes that weigh their support. Other arguments are those of `ProtoNet`.

    Args:
        attention_width: rows of V.
    """

    attention_width: int = 64

    name = "tapnet"

    def init(self, generator: torch.Generator) -> Params:
        """As `ProtoNet`, with `meta.attention.*` (V and its bias) and `meta.weights` (w)."""
        import torch

        layer = linear_params(self.network.features, self.attention_width, generator)
        own = {f"{OWN}attention.{name}": value for name, value in layer.items()}
        return super().init(generator) | own | {OWN + "weights": torch.zeros(self.attention_width)}

    def adapt(self, params: Params, task: TensorTask) -> Prototypes:
        """Weighted class means of the embedded support. A class without support has its mean at the origin."""
        weights = network_params(params)
        embedded = self.network.apply(weights, task.support_x)
        means = attention(params, embedded, task) @ embedded
        return Prototypes(means, task.class_mask, self._temperature(params, means), weights)


def attention(params: Params, embedded: Tensor, task: TensorTask) -> Tensor:
    """(way, n_support) weights of the rows in their classes; they sum to 1 in every class that has rows."""
    from torch.nn.functional import linear

    score = linear(embedded, params[OWN + "attention.weight"], params[OWN + "attention.bias"]).tanh()
    members = one_hot(task.support_y, len(task.class_mask), task.support_mask).mT
    return (score @ params[OWN + "weights"]).where(members > 0, ABSENT).softmax(dim=-1) * members


Learner = meta_learner(TapNet, distance="cosine", learn_temperature=True)
