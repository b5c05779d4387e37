"""ProtAugment. Dopierre, Gravier and Logerais, ACL 2021, arXiv 2105.12995.

Prototypical networks with a second, unsupervised task in every training step: the mean of a text's paraphrases is a
prototype, and the text itself is the query that must find it among the prototypes of other unlabelled texts. Training
begins with labels alone and ends with unlabelled texts alone.

As against the paper: its paraphrases come from a BART that was trained on pairs and is forbidden to repeat words or
bigrams of the text. No such model can be had without the network, so these come from rules over words
(`classic.training.paraphrases`): fewer new words, the same bigrams forbidden. The unlabelled texts are those of the
training classes; those of the tested classes, which the paper takes too, are not touched.

Traps: the loss at the end of a training is that of another task than at its beginning; the step that is best on the
validation classes is kept, as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.algorithms.protonet import ProtoNet
from classic.functional.distances import similarity
from classic.functional.unlabelled import UnlabelledTask, shared_loss
from classic.learners.meta import meta_learner
from classic.training.paraphrases import Rule, check_unlabelled

if TYPE_CHECKING:
    from torch import Tensor

    from classic.algorithms.protonet import Prototypes
    from classic.functional.base import TensorTask


@dataclass(frozen=True)
class ProtAugment(ProtoNet):
    """Nearest class mean in a space where a text lies among its paraphrases.

    Args:
        unlabelled: unlabelled texts of one training task; 0 is prototypical networks.
        paraphrases: of each of them.
        rule: how they are made: "dropout", "swap", "bigram", or "diverse" for these in turn.
        anneal: the share of the labelled loss at progress t is 1 - t ** anneal; the paper tries 1/4, 1 and 4.
    """

    unlabelled: int = 5
    paraphrases: int = 5
    rule: Rule = "diverse"
    anneal: float = 1.0

    name = "protaugment"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_unlabelled(self)

    def objective(self, logits: Tensor, fast: Prototypes, task: TensorTask) -> Tensor:
        """The loss of the queries, with that of the unlabelled texts where the task has some."""
        loss = super().objective(logits, fast, task)
        if not isinstance(task, UnlabelledTask):
            return loss
        return shared_loss(loss, self._consistency(fast, task.unlabelled_x), task.supervised_share)

    def _consistency(self, fast: Prototypes, unlabelled_x: Tensor) -> Tensor:
        """Mean cross-entropy of the texts over the means of paraphrases."""
        embedded = self.network.apply(fast.params, unlabelled_x.flatten(0, 1)).unflatten(0, unlabelled_x.shape[:2])
        near = similarity(embedded[:, 0], embedded[:, 1:].mean(dim=1), self.distance) / fast.temperature
        return -near.log_softmax(dim=-1).diagonal().mean()


Learner = meta_learner(ProtAugment, distance="cosine", learn_temperature=True, train_way=20)
