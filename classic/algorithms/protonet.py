"""Prototypical networks. Snell, Swersky and Zemel, NeurIPS 2017, arXiv 1703.05175.

A class is the mean of its support embeddings; a query's logits are its negative squared Euclidean distances to the
means (or cosines), divided by a temperature.

Traps: the distance is SQUARED; the paper trains with more classes than it tests with (60-way); cosine needs a
temperature well below 1 (see `confidence_ceiling`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from classic.functional.base import OWN, Network, network_params
from classic.functional.distances import Distance, require_metric, similarity
from classic.functional.episodic import Episodic
from classic.functional.losses import mask_classes
from classic.functional.prototypes import class_means
from classic.learners.meta import meta_learner

if TYPE_CHECKING:
    from typing import Any

    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


class Prototypes(NamedTuple):
    """(way, d) class means; (way,) which exist; () temperature; parameters of the network that embeds queries."""

    means: Tensor
    class_mask: Tensor
    temperature: Tensor
    params: Params


@dataclass(frozen=True)
class ProtoNet(Episodic):
    """Nearest class mean in a learned space.

    Args:
        network: embeds texts.
        distance: "euclidean" (squared) or "cosine".
        temperature: logits are divided by it. None is 1 for euclidean and 0.1 for cosine.
        learn_temperature: meta-learn it, as its logarithm, from `temperature`.
    """

    network: Network
    distance: Distance = "euclidean"
    temperature: float | None = None
    learn_temperature: bool = False

    name = "protonet"

    def __post_init__(self) -> None:
        require_metric(self.distance, self.first_temperature)

    @property
    def first_temperature(self) -> float:
        """The temperature before training."""
        if self.temperature is not None:
            return self.temperature
        return 0.1 if self.distance == "cosine" else 1.0

    def describe(self) -> dict[str, Any]:
        """Arguments, the temperature as a number."""
        return {**super().describe(), "temperature": self.first_temperature}

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, and `meta.log_temperature` () where it is learned."""
        import torch

        params = self.network.init(generator)
        if self.learn_temperature:
            params[OWN + "log_temperature"] = torch.tensor(self.first_temperature).log()
        return params

    def adapt(self, params: Params, task: TensorTask) -> Prototypes:
        """Class means of the embedded support. A class without support has its mean at the origin."""
        weights = network_params(params)
        means = class_means(self.network.apply(weights, task.support_x), task)
        return Prototypes(means, task.class_mask, self._temperature(params, means), weights)

    def logits(self, fast: Prototypes, query_x: Tensor) -> Tensor:
        """(n_query, way) similarities divided by the temperature."""
        near = similarity(self.network.apply(fast.params, query_x), fast.means, self.distance)
        return mask_classes(near / fast.temperature, fast.class_mask)

    def _temperature(self, params: Params, like: Tensor) -> Tensor:
        if self.learn_temperature:
            return params[OWN + "log_temperature"].exp()
        return like.new_full((), self.first_temperature)


Learner = meta_learner(ProtoNet, distance="cosine", learn_temperature=True, train_way=20)
