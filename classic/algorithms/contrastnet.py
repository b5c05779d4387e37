"""ContrastNet. Chen, Zhang, Mao and Xu, AAAI 2022, arXiv 2305.09269.

All texts of an episode, support and queries, are pulled towards those of their class and pushed from all others by the
supervised contrastive loss; nothing is averaged before it is compared. A query is then of the class of the support text
that it is most like. Unlabelled texts regularise: each is to be like its own paraphrases and like no other text.

As against the paper: paraphrases are made by rules (`classic.training.paraphrases`), not by a model; the loss between
whole tasks is left out; texts are compared by cosine, so that a temperature means the same for every encoder.

Traps: a text is never its own positive; a row that is alone in its class has no positive and does not count; the share
of the labelled loss falls during training, so that a curve of the loss says little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from classic.functional.base import Network, network_params
from classic.functional.distances import require_metric, similarity
from classic.functional.episodic import Episodic
from classic.functional.losses import ABSENT, contrastive_loss, mask_classes, one_hot
from classic.functional.unlabelled import UnlabelledTask, shared_loss
from classic.learners.meta import meta_learner
from classic.training.paraphrases import Rule, check_unlabelled

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


class Shown(NamedTuple):
    """(n_support, d) embeddings, (n_support, way) whose class they are, (way,) which classes exist; parameters."""

    support: Tensor
    members: Tensor
    class_mask: Tensor
    params: Params


@dataclass(frozen=True)
class ContrastNet(Episodic):
    """Contrastive learning over the texts of an episode.

    Args:
        network: embeds texts.
        temperature: cosines are divided by it.
        aggregate: a class scores the "max" over its support texts, as in the paper, or their "mean".
        unlabelled: unlabelled texts of one training task; 0 trains on labels alone.
        paraphrases: of each of them.
        rule: how they are made: "dropout", "swap", "bigram", or "diverse" for these in turn.
        anneal: the share of the labelled loss at progress t is 1 - t ** anneal.
    """

    network: Network
    temperature: float = 0.1
    aggregate: Literal["max", "mean"] = "max"
    unlabelled: int = 10
    paraphrases: int = 1
    rule: Rule = "diverse"
    anneal: float = 4.0

    name = "contrastnet"

    def __post_init__(self) -> None:
        require_metric("cosine", self.temperature)
        check_unlabelled(self)

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network."""
        return self.network.init(generator)

    def adapt(self, params: Params, task: TensorTask) -> Shown:
        """Embed the support."""
        weights = network_params(params)
        members = one_hot(task.support_y, len(task.class_mask), task.support_mask)
        return Shown(self.network.apply(weights, task.support_x), members, task.class_mask, weights)

    def logits(self, fast: Shown, query_x: Tensor) -> Tensor:
        """(n_query, way) cosines divided by the temperature."""
        return self._scores(fast, self.network.apply(fast.params, query_x))

    def forward(self, params: Params, task: TensorTask) -> tuple[Tensor, Tensor]:
        """The contrastive loss, with that of the unlabelled texts where the task has some."""
        import torch

        fast = self.adapt(params, task)
        queries = self.network.apply(fast.params, task.query_x)
        embedded = torch.cat([fast.support, queries])
        members = torch.cat([fast.members, one_hot(task.query_y, len(task.class_mask), task.query_mask)])
        exists = torch.cat([task.support_mask, task.query_mask])
        loss = contrastive_loss(self._near(embedded, embedded), members @ members.mT, exists)
        if isinstance(task, UnlabelledTask):
            loss = shared_loss(loss, self._consistency(fast.params, task.unlabelled_x), task.supervised_share)
        return loss, self._scores(fast, queries)

    def _consistency(self, params: Params, unlabelled_x: Tensor) -> Tensor:
        """The same loss, a text and its paraphrases being a class."""
        import torch

        n, views = unlabelled_x.shape[:2]
        embedded = self.network.apply(params, unlabelled_x.flatten(0, 1))
        same = torch.eye(n, dtype=embedded.dtype, device=embedded.device)
        same = same.repeat_interleave(views, dim=0).repeat_interleave(views, dim=1)
        return contrastive_loss(self._near(embedded, embedded), same, embedded.new_ones(n * views))

    def _scores(self, fast: Shown, queries: Tensor) -> Tensor:
        near = self._near(queries, fast.support)
        if self.aggregate == "mean":
            scores = near @ fast.members / fast.members.sum(dim=0).clamp(min=1)
        else:
            scores = near[:, None, :].where(fast.members.mT[None] > 0, ABSENT).amax(dim=-1)
        return mask_classes(scores, fast.class_mask)

    def _near(self, left: Tensor, right: Tensor) -> Tensor:
        return similarity(left, right, "cosine") / self.temperature


Learner = meta_learner(ContrastNet)
