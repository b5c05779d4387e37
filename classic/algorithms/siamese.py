"""Siamese networks. Koch, Zemel and Salakhutdinov, ICML Deep Learning Workshop 2015.

Two texts go through the same network; a weighted distance of the embeddings tells whether they are of one class. A
query takes the class whose support texts it resembles. The paper weighs absolute differences. Squared ones, weighed
alike at first, are the default: between vectors of length 1 training then begins at the cosine.

Pairs are (query, support) and never a text with itself, whose label would be right by construction. Of every `way`
pairs one is positive, so positives and negatives are weighted to count the same in total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from classic.functional.base import OWN, Network, network_params
from classic.functional.episodic import Episodic
from classic.functional.losses import ABSENT, mask_classes, masked_mean, one_hot
from classic.learners.meta import meta_learner

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


class Twins(NamedTuple):
    """(n_support, d) embeddings, (n_support, way) whose class they are, (way,) which classes exist, all parameters."""

    support: Tensor
    members: Tensor
    class_mask: Tensor
    params: Params


@dataclass(frozen=True)
class Siamese(Episodic):
    """Same or different, for every pair of a query and a support text.

    Args:
        network: embeds texts.
        aggregate: a class scores the "mean" or the "max" over its support texts, or as their mean does that is made as
            long as they are ("centre"). The paper has one text per class, where all are the same.
        difference: "squared", or "absolute" as in the paper.
    """

    network: Network
    aggregate: Literal["mean", "max", "centre"] = "mean"
    difference: Literal["squared", "absolute"] = "squared"

    name = "siamese"

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.pair_weight` (d,) and `meta.pair_bias` ()."""
        import torch

        d = self.network.features
        # Between vectors of length 1 the distance is then at most 20, or 2: that of absolute differences is 2 sqrt(d).
        weight, bias = (5.0, 5.0) if self.difference == "squared" else (d**-0.5, 0.0)
        own = {"pair_weight": torch.full((d,), weight), "pair_bias": torch.tensor(bias)}
        return self.network.init(generator) | {OWN + name: value for name, value in own.items()}

    def adapt(self, params: Params, task: TensorTask) -> Twins:
        """Embed the support."""
        support = self.network.apply(network_params(params), task.support_x)
        members = one_hot(task.support_y, len(task.class_mask), task.support_mask)
        return Twins(support, members, task.class_mask, params)

    def logits(self, fast: Twins, query_x: Tensor) -> Tensor:
        """(n_query, way) log-odds of being of the same class."""
        if self.aggregate == "centre":
            return mask_classes(self._pairs(fast._replace(support=_centres(fast)), query_x), fast.class_mask)
        pairs, members = self._pairs(fast, query_x), fast.members
        if self.aggregate == "max":
            scores = pairs[:, None, :].where(members.mT[None] > 0, ABSENT).amax(dim=-1)
        else:
            scores = pairs @ members / members.sum(dim=0).clamp(min=1)
        return mask_classes(scores, fast.class_mask)

    def objective(self, logits: Tensor, fast: Twins, task: TensorTask) -> Tensor:
        """Balanced binary cross-entropy over the pairs."""
        from torch.nn.functional import logsigmoid

        pairs = self._pairs(fast, task.query_x)
        same = one_hot(task.query_y, len(task.class_mask), task.query_mask) @ fast.members.mT
        exists = task.query_mask[:, None] * task.support_mask[None]
        return -(masked_mean(logsigmoid(pairs), same) + masked_mean(logsigmoid(-pairs), exists - same)) / 2

    def _pairs(self, fast: Twins, query_x: Tensor) -> Tensor:
        """(n_query, n_support) log-odds: bias - sum_j weight_j difference_j."""
        queries = self.network.apply(network_params(fast.params), query_x)
        apart = queries[:, None] - fast.support[None]
        apart = apart.square() if self.difference == "squared" else apart.abs()
        return fast.params[OWN + "pair_bias"] - apart @ fast.params[OWN + "pair_weight"]


def _centres(fast: Twins) -> Tensor:
    """(way, d) class means, as long as the texts of the class are on average."""
    shares = fast.members.mT / fast.members.sum(dim=0).clamp(min=1)[:, None]
    means = shares @ fast.support
    return means * (shares @ _length(fast.support) / _length(means))[:, None]


def _length(vectors: Tensor) -> Tensor:
    """(n, d) -> (n,). That of a class without texts is not quite 0, where a root has no derivative."""
    return (vectors.square().sum(dim=-1) + 1e-12).sqrt()


Learner = meta_learner(Siamese, aggregate="centre")
