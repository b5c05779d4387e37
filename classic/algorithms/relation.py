"""Relation networks. Sung, Yang, Zhang, Xiang, Torr and Hospedales, CVPR 2018, arXiv 1711.06025.

A small network scores how much a query and a class belong together, from the two embeddings side by side. Here it is
added to a scaled cosine and its last layer starts at zero: training begins at prototypes. The paper's module knows
nothing at first, and on 5-way intents by a frozen encoder never comes near them (.51 against .95).

Traps: the paper SUMS the embeddings of a class, which changes their scale with the shot; here they are averaged. Its
loss is the squared error of the sigmoid score against 1 for the right class and 0 for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from classic.functional.base import OWN, Network, network_params
from classic.functional.distances import require_metric, similarity
from classic.functional.episodic import Episodic
from classic.functional.losses import mask_classes, masked_mean, one_hot
from classic.functional.prototypes import class_means
from classic.learners.meta import meta_learner
from classic.networks.mlp import MLP

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


#: The cosine at which a query and a class are as likely to belong together as not. Meta-learned from here.
_THRESHOLD = 0.5


class Classes(NamedTuple):
    """(way, d) class means, (way,) which exist, all parameters."""

    means: Tensor
    class_mask: Tensor
    params: Params


@dataclass(frozen=True)
class Relation(Episodic):
    """A learned similarity.

    Args:
        network: embeds texts.
        relation_width: width of the relation module.
        temperature: cosines are divided by it. Meta-learned, as its logarithm, from here.
        loss: "mse" as in the paper, or "cross_entropy" over the classes.
    """

    network: Network
    relation_width: int = 64
    temperature: float = 0.1
    loss: Literal["mse", "cross_entropy"] = "mse"

    name = "relation"

    def __post_init__(self) -> None:
        require_metric("cosine", self.temperature)

    @property
    def module(self) -> MLP:
        """The relation module: two embeddings in, one score out."""
        return MLP(2 * self.network.features, (self.relation_width, 1))

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.relation.*`, `meta.log_temperature` () and `meta.threshold` ()."""
        import torch

        module = self.module.init(generator)
        *_, weight, bias = module
        module |= {weight: torch.zeros_like(module[weight]), bias: torch.zeros_like(module[bias])}
        own = {f"relation.{name}": value for name, value in module.items()}
        own |= {"log_temperature": torch.tensor(self.temperature).log(), "threshold": torch.tensor(_THRESHOLD)}
        return self.network.init(generator) | {OWN + name: value for name, value in own.items()}

    def adapt(self, params: Params, task: TensorTask) -> Classes:
        """Class means of the embedded support."""
        means = class_means(self.network.apply(network_params(params), task.support_x), task)
        return Classes(means, task.class_mask, params)

    def logits(self, fast: Classes, query_x: Tensor) -> Tensor:
        """(n_query, way) relation scores before the sigmoid."""
        import torch

        prefix = f"{OWN}relation."
        relation = {key.removeprefix(prefix): value for key, value in fast.params.items() if key.startswith(prefix)}
        queries = self.network.apply(network_params(fast.params), query_x)
        n_query, way = len(queries), len(fast.means)
        left = fast.means[None].expand(n_query, way, -1)
        right = queries[:, None].expand(n_query, way, -1)
        learned = self.module.apply(relation, torch.cat([left, right], dim=-1)).squeeze(-1)
        near = similarity(queries, fast.means, "cosine") - fast.params[OWN + "threshold"]
        return mask_classes(learned + near / fast.params[OWN + "log_temperature"].exp(), fast.class_mask)

    def objective(self, logits: Tensor, fast: Classes, task: TensorTask) -> Tensor:
        """Squared error of the scores over the classes that exist, or cross-entropy."""
        if self.loss == "cross_entropy":
            return super().objective(logits, fast, task)
        target = one_hot(task.query_y, logits.shape[-1], task.query_mask)
        errors = (logits.sigmoid() - target).square() * task.class_mask
        return masked_mean(errors.sum(dim=-1) / task.class_mask.sum().clamp(min=1), task.query_mask)


Learner = meta_learner(Relation, loss="cross_entropy", train_way=20)
