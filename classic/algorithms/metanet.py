"""Meta networks. Munkhdalai and Yu, ICML 2017, arXiv 1703.00837.

Weights are generated, not trained, for every task: gradients of a loss are read by a meta-learned function that turns
them into "fast" weights, which are added to the slow ones. It happens at two levels. For the task, an LSTM reads the
gradient of a representation loss on each support row and gives fast weights of the embedding. For each support row, a
small network turns the gradient of its classification loss into fast weights of the base learner. A query attends to
the support rows by the cosine of its embedding, and is classified with the fast weights of the rows that it attends to.

Both functions work coordinate by coordinate, on gradients prepared as by Andrychowicz et al. 2016 (logarithm and sign).

Traps: the embedding by which a query finds fast weights is the one that already has its own. A slow weight per class
has nothing to learn, since classes have no numbers: the slow head is zero, and its fast weights are all there is; a
hidden layer below such a head has gradient zero, so that the base learner is one linear layer. The fast weights of the
embedding are one gain per feature: the matrix of a layer would need an LSTM over a million coordinates per task.
The meta-gradient differentiates through the gradients too; the authors' code takes them as constants.

What the row network adds to the negative gradient starts at zero, and so does what the task adds: training starts with
a head that is one gradient step from zero, nearly the class mean on vectors of length 1. The paper's head is linear, so
that a class whose rows are unlike each other has short weights, and loses; a head of cosines starts on a par with the
class means (.913 against .918 on validation classes of HWU64, .977 against .976 on BANKING77, at five shots).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING, Literal, NamedTuple

from classic.functional.base import OWN, Network, network_params, own_params
from classic.functional.distances import require_metric, similarity
from classic.functional.episodic import Episodic
from classic.functional.losses import ABSENT, mask_classes, masked_mean, one_hot
from classic.functional.sequence import reading_order
from classic.learners.meta import meta_learner
from classic.networks.lstm import cell_params, step
from classic.networks.mlp import MLP, linear_params
from classic.networks.text import unit
from fewshot.core.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

#: Gradients below exp(-_CUT) are given as they are, the others by their logarithm.
_CUT = 7.0


class Fast(NamedTuple):
    """What a task leaves.

    Attributes:
        keys: (n_support, d) embeddings of the support with the fast weights of the task.
        weights: (n_support, way, d) fast weights of the base learner, per support row, before the rate.
        gain: (d,) slow and fast weights of the embedding.
        support_mask, class_mask: (n_support,) and (way,).
        params: all parameters.
    """

    keys: Tensor
    weights: Tensor
    gain: Tensor
    support_mask: Tensor
    class_mask: Tensor
    params: Params


@dataclass(frozen=True)
class MetaNet(Episodic):
    """Fast weights from gradients, for the task and for every support row.

    Args:
        network: embeds texts.
        rate: what the fast weights of the base learner are multiplied by where training starts; meta-learned, as its
            logarithm.
        base: head of the base learner: "linear" as in the paper, or "cosine", with weights of length `rate`.
        temperature: cosines of the attention are divided by it; 1 in the paper.
        generator_width: of the functions that turn gradients into weights; 20 in the paper.
        margin: cosine below which rows of different classes are no loss to the representation.
    """

    network: Network
    rate: float = 10.0
    base: Literal["linear", "cosine"] = "linear"
    temperature: float = 1.0
    generator_width: int = 20
    margin: float = 0.0

    name = "metanet"
    second_order = True

    def __post_init__(self) -> None:
        require_metric("cosine", self.temperature)
        if self.rate <= 0:
            raise UsageError(f"rate {self.rate} must be above 0; it multiplies fast weights")
        if self.base not in ("linear", "cosine"):
            raise unknown_name("base", self.base, ["linear", "cosine"])

    @property
    def row_network(self) -> MLP:
        """From a prepared gradient to what is added to the fast weight, for one coordinate."""
        return MLP(2, (self.generator_width, self.generator_width, 1))

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.gain` (d,), `meta.log_rate` (), `meta.row.*`, `meta.task.*`."""
        import torch

        row = self.row_network.init(generator)
        row |= {name: torch.zeros_like(row[name]) for name in ("2.weight", "2.bias")}
        width = self.generator_width
        last = {name: torch.zeros_like(value) for name, value in linear_params(width, 1, generator).items()}
        return {
            **self.network.init(generator),
            OWN + "gain": torch.ones(self.network.features),
            OWN + "log_rate": torch.tensor(log(self.rate)),
            **{f"{OWN}row.{name}": value for name, value in row.items()},
            **{f"{OWN}task.{name}": value for name, value in cell_params(2, width, width, generator).items()},
            **{f"{OWN}task.out.{name}": value for name, value in last.items()},
        }

    def adapt(self, params: Params, task: TensorTask) -> Fast:
        """Fast weights of the embedding, then of the base learner for every row."""
        embedded = self.network.apply(network_params(params), task.support_x)
        gain = params[OWN + "gain"] + self._task_weights(params, embedded, task)
        gradients = head_gradients(embedded, task)
        added = self.row_network.apply(own_params(params, "row."), prepared(gradients)).squeeze(-1)
        return Fast(embedded * gain, added - gradients, gain, task.support_mask, task.class_mask, params)

    def logits(self, fast: Fast, query_x: Tensor) -> Tensor:
        """(n_query, way): the head of each query is the mean of those of the rows that it attends to."""
        import torch

        queries = self.network.apply(network_params(fast.params), query_x)
        near = similarity(queries * fast.gain, fast.keys, "cosine") / self.temperature
        attention = near.where(fast.support_mask > 0, ABSENT).softmax(dim=-1)
        weights = torch.einsum("qs,swd->qwd", attention, fast.weights)
        if self.base == "cosine":
            queries, weights = unit(queries), unit(weights)
        scores = (weights @ queries[..., None]).squeeze(-1) * fast.params[OWN + "log_rate"].exp()
        return mask_classes(scores, fast.class_mask)

    def _task_weights(self, params: Params, embedded: Tensor, task: TensorTask) -> Tensor:
        """(d,) fast weights of the embedding: an LSTM for each coordinate reads its gradients, row by row."""
        import torch
        from torch.nn.functional import linear

        gradients = representation_gradients(params[OWN + "gain"], embedded, task, self.margin)
        order = reading_order(embedded, task.support_mask)
        cell, out = own_params(params, "task."), own_params(params, "task.out.")
        output = carry = torch.zeros_like(embedded[0])[:, None].expand(-1, self.generator_width)
        for row, exists in zip(prepared(gradients)[order], task.support_mask[order], strict=True):
            new_output, new_carry = step(cell, row, output, carry)
            output, carry = new_output.where(exists > 0, output), new_carry.where(exists > 0, carry)
        return linear(output, out["weight"], out["bias"]).squeeze(-1)


def head_gradients(embedded: Tensor, task: TensorTask) -> Tensor:
    """(n_support, way, d) gradient of the cross-entropy of each row by a linear head that is zero."""
    from torch.func import grad, vmap

    members = one_hot(task.support_y, len(task.class_mask), task.support_mask)

    def loss(head: Tensor, x: Tensor, member: Tensor) -> Tensor:
        return -(mask_classes(head @ x, task.class_mask).log_softmax(dim=-1) * member).sum()

    zero = embedded.new_zeros(len(task.class_mask), embedded.shape[-1])
    return vmap(grad(loss), in_dims=(None, 0, 0))(zero, embedded, members)


def representation_gradients(gain: Tensor, embedded: Tensor, task: TensorTask, margin: float) -> Tensor:
    """(n_support, d) gradient by the gain of the loss of each row: the same class should be near, others far.

    A pair of the same class loses 1 - cosine, one of different classes what its cosine is above the margin; the loss of
    a row is the mean over its pairs with the other rows.
    """
    import torch
    from torch.func import grad, vmap

    members = one_hot(task.support_y, len(task.class_mask), task.support_mask)
    rows = torch.arange(len(embedded), device=embedded.device)

    def loss(gain: Tensor, x: Tensor, member: Tensor, row: Tensor) -> Tensor:
        near = similarity((x * gain)[None], embedded * gain, "cosine")[0]
        lost = (1 - near).where(members @ member > 0, (near - margin).clamp(min=0))
        return masked_mean(lost, task.support_mask * (rows != row))

    return vmap(grad(loss), in_dims=(None, 0, 0, 0))(gain, embedded, members, rows)


def prepared(gradients: Tensor) -> Tensor:
    """(...,) -> (..., 2): size and sign of a gradient, on scales that a network can read.

    log|g| / 7 and the sign where |g| is above exp(-7); -1 and exp(7) g below. Andrychowicz et al. 2016, appendix A.
    """
    import torch

    least = exp(-_CUT)
    size = gradients.abs()
    # The logarithm of a small gradient is never taken, so that its slope is finite.
    large = torch.stack([size.clamp(min=least).log() / _CUT, gradients.sign()], dim=-1)
    small = torch.stack([torch.full_like(gradients, -1.0), gradients / least], dim=-1)
    return large.where((size >= least)[..., None], small)


# Chosen on validation classes of HWU64 and BANKING77, before training.
Learner = meta_learner(MetaNet, base="cosine", temperature=0.2)
