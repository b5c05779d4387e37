"""Meta-Baseline. Chen, Liu, Xu, Darrell and Wang, ICCV 2021, arXiv 2003.04390.

Two stages: a classifier of all base classes, whose head is then dropped; and episodes, answered by the cosine to the
class means with a learned temperature, that go on from there. Classification alone is already strong, and the second
stage is worth more the nearer the base classes are to the new ones.

Traps: means are of the embeddings as they are, and only then compared by cosine; the second stage may improve on base
classes while it loses on new ones (the paper's "objective discrepancy"), so what counts is validation on other classes.
The first stage, too: a base head on vectors of length 1 learns slowly, and the space turns towards it meanwhile. With
`base_scale` 10 that cost 2.7 points on BANKING77 (1 shot, validation classes), with 30 nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from classic.algorithms.multitask import base_class_gradient, base_head
from classic.algorithms.protonet import ProtoNet
from classic.functional.base import network_params
from classic.functional.distances import Distance
from classic.functional.losses import one_hot
from classic.learners.meta import meta_learner
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


@dataclass(frozen=True)
class MetaBaseline(ProtoNet):
    """Classification, then nearest class means by cosine. Other arguments are those of `ProtoNet`.

    Args:
        classification: share of the training that is classification of all base classes.
        base_scale: what embeddings are multiplied by for the base classifier.
        base_classes: how many there are. Training tasks number their classes among all of them.
        classifies: whether it is in its first stage; `at` says so.
    """

    distance: Distance = "cosine"
    learn_temperature: bool = True
    classification: float = 0.25
    base_scale: float = 30.0
    base_classes: int = 0
    classifies: bool = False

    name = "metabaseline"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.classification <= 1:
            raise UsageError(f"classification {self.classification} must be from 0 to 1; it is a share of the training")

    def at(self, progress: float) -> MetaBaseline:
        """The algorithm when a share of the training is done."""
        return replace(self, classifies=progress < self.classification)

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.log_temperature`, and the base head."""
        return super().init(generator) | base_head(self.network.features, self.base_classes, generator)

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """Gradient of the stage's loss."""
        if self.classifies:
            return base_class_gradient(self._embedded, params, task)
        # Among all base classes, those of the episode are the ones that have support.
        shown = one_hot(task.support_y, len(task.class_mask), task.support_mask).sum(dim=0) > 0
        return super().meta_gradient(params, task._replace(class_mask=task.class_mask * shown))

    def _embedded(self, params: Params, x: Tensor) -> Tensor:
        return self.base_scale * self.network.apply(network_params(params), x)


Learner = meta_learner(
    MetaBaseline, without=("distance", "learn_temperature", "classifies"), train_way=20, patience=None
)
