"""Matching networks. Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra, NeurIPS 2016, arXiv 1606.04080.

A query attends to the support by cosine; its probability of a class is the attention on the rows of that class. With
full context embeddings a bidirectional LSTM reads the support, and an LSTM with attention reads each query in its
light (the paper's appendix A).

Traps: outputs are LOG-PROBABILITIES already; without a temperature they cannot be confident (`confidence_ceiling`);
classes with more support get more attention; the LSTM over the support depends on the order of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from classic.functional.base import OWN, Network, network_params
from classic.functional.distances import confidence_ceiling, require_metric, similarity
from classic.functional.episodic import Episodic
from classic.functional.losses import ABSENT, mask_classes, one_hot
from classic.functional.prototypes import class_means
from classic.learners.meta import meta_learner
from classic.networks.lstm import attend_and_read, cell_params, read

if TYPE_CHECKING:
    from typing import Any

    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

FORWARD, BACKWARD, QUERY = OWN + "forward.", OWN + "backward.", OWN + "query."


class Memory(NamedTuple):
    """(n, d) embeddings, (n, way) their weight in their class, (way,) which classes exist, all parameters."""

    support: Tensor
    members: Tensor
    class_mask: Tensor
    params: Params


@dataclass(frozen=True)
class Matching(Episodic):
    """Attention over the support.

    Args:
        network: embeds texts.
        temperature: cosines are divided by it.
        full_context: full context embeddings.
        reads: steps of the LSTM that reads a query, with full context.
        centres: whether the mean of a class is attended to as well, as much as all of its texts together. Not in the
            paper; without it five texts per class are about a point worse than their mean, on intents by MiniLM.
    """

    network: Network
    temperature: float = 0.1
    full_context: bool = False
    reads: int = 5
    centres: bool = False

    name = "matching"

    def __post_init__(self) -> None:
        require_metric("cosine", self.temperature)

    def describe(self) -> dict[str, Any]:
        """Arguments, and how confident a 5-way 1-shot answer can be at this temperature."""
        return {**super().describe(), "confidence_ceiling": round(confidence_ceiling(self.temperature, 5), 4)}

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network and, with full context, of three LSTM cells."""
        params = self.network.init(generator)
        if not self.full_context:
            return params
        d = self.network.features
        for prefix, inputs in ((FORWARD, d), (BACKWARD, d), (QUERY, d)):
            hidden = 2 * d if prefix == QUERY else d
            params |= {prefix + name: value for name, value in cell_params(inputs, hidden, d, generator).items()}
        return params

    def adapt(self, params: Params, task: TensorTask) -> Memory:
        """Embed the support."""
        import torch

        support = self.network.apply(network_params(params), task.support_x)
        if self.full_context:
            forward = read(_cell(params, FORWARD), support, task.support_mask)
            backward = read(_cell(params, BACKWARD), support.flip(0), task.support_mask.flip(0)).flip(0)
            support = support + forward + backward
        members = one_hot(task.support_y, len(task.class_mask), task.support_mask)
        if self.centres:
            means = class_means(support, task)
            support = torch.cat([support, means])
            members = torch.cat([members, members.sum(dim=0).diag()])
        return Memory(support, members, task.class_mask, params)

    def logits(self, fast: Memory, query_x: Tensor) -> Tensor:
        """(n_query, way) log-probabilities."""
        queries = self.network.apply(network_params(fast.params), query_x)
        if self.full_context:
            present = (fast.members.sum(dim=1) > 0).to(queries)
            queries = attend_and_read(_cell(fast.params, QUERY), queries, fast.support, present, self.reads)
        near = similarity(queries, fast.support, "cosine") / self.temperature
        # (n_query, way, n_support): each class sees its own rows alone, by their weight.
        weights = fast.members.mT[None]
        own = (near[:, None, :] + weights.clamp(min=1).log()).where(weights > 0, ABSENT)
        return mask_classes(own.logsumexp(dim=-1), fast.class_mask).log_softmax(dim=-1)


def _cell(params: Params, prefix: str) -> Params:
    return {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}


Learner = meta_learner(Matching, centres=True)
