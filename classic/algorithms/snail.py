"""Simple neural attentive learner. Mishra, Rohaninejad, Chen and Abbeel, ICLR 2018, arXiv 1707.03141.

The support is a sequence of (embedding, label), and a query is its last element, without a label. Causal attention
(which looks something up anywhere in the past) and dilated causal convolutions (which gather what is near) take turns;
each adds its output to the columns of its input; a linear layer at the last element gives the logits.

Traps: attention is causal and includes the element itself; a dense block is tanh(conv) * sigmoid(conv), of kernel size
2; the convolutions double their dilation until they span the sequence, so its length is an argument of the model; a
sequence that is filled up is filled up in FRONT with zeros, which is what the convolutions see beyond its start anyway.
Only the query is predicted, as in the paper.

With start="matching" the first attention block begins as a matching network (queries and keys are the embeddings,
values the labels) that the last layer passes on: on a frozen encoder whose vectors have length 1, training starts
where matching networks do. The layers are those of the paper either way. That is on a par with class means at one shot,
and a point below them at five (.908 against .918 on validation classes of HWU64), where 50 steps on the 16 training
classes gained nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from classic.functional.base import OWN, Network, network_params, own_params
from classic.functional.episodic import Episodic
from classic.functional.losses import ABSENT
from classic.functional.sequence import Sequence, as_sequence
from classic.learners.meta import meta_learner
from classic.networks.mlp import linear_params
from fewshot.core.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

#: Where training starts by matching: what cosines are divided by, and what attention on labels is multiplied by. An
#: element attends to itself above all, which leaves labels little at a lower temperature.
_TEMPERATURE, _SCALE = 0.2, 40.0


class Past(NamedTuple):
    """The support as it was read, (n_support, columns) the input of every layer on it, all parameters."""

    support: Sequence
    inputs: list[Tensor]
    params: Params


@dataclass(frozen=True)
class SNAIL(Episodic):
    """Temporal convolutions and causal attention over the support.

    Args:
        network: embeds texts.
        slots: labels that can be told apart: the largest way.
        filters: of a convolution; 128 in the paper, whose other sizes are multiples of it.
        length: elements that the convolutions span; attention sees all.
        start: "random", or "matching" for a first attention block that begins as a matching network.
    """

    network: Network
    slots: int = 5
    filters: int = 128
    length: int = 26
    start: Literal["random", "matching"] = "random"

    name = "snail"

    def __post_init__(self) -> None:
        if self.start not in ("random", "matching"):
            raise unknown_name("start", self.start, ["random", "matching"])
        if self.filters < 4 or self.length < 1:
            raise UsageError(f"filters={self.filters} must be 4 or more, and length={self.length} 1 or more")

    @property
    def layers(self) -> tuple[tuple[str, int, int], ...]:
        """(kind, a, b) of every layer: keys and values of an "attend", filters and dilation of a "convolve"."""
        half, f = self.filters // 2, self.filters
        spans = tuple(("convolve", f, 1 << at) for at in range(max(1, (self.length - 1).bit_length())))
        first = (self.network.features, self.slots) if self.start == "matching" else (half, half // 2)
        return (("attend", *first), *spans, ("attend", 2 * f, f), *spans, ("attend", 4 * f, 2 * f))

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.LAYER.*` from 0 on, and `meta.out.*`."""
        params = self.network.init(generator)
        columns = self.network.features + self.slots
        for at, (kind, a, b) in enumerate(self.layers):
            outputs = {"query": a, "key": a, "value": b} if kind == "attend" else {"now": 2 * a, "before": 2 * a}
            for part, size in outputs.items():
                layer = linear_params(columns, size, generator)
                params |= {f"{OWN}{at}.{part}.{name}": value for name, value in layer.items()}
            columns += b if kind == "attend" else a
        params |= {f"{OWN}out.{name}": value for name, value in linear_params(columns, self.slots, generator).items()}
        return self._matching(params) if self.start == "matching" else params

    def _matching(self, params: Params) -> Params:
        """Attention by the cosine of embeddings, on labels, passed on by the last layer."""
        import torch

        d = self.network.features
        changed = {f"0.{part}.{name}" for part in ("query", "key", "value") for name in ("weight", "bias")}
        params |= {OWN + name: torch.zeros_like(params[OWN + name]) for name in changed | {"out.weight", "out.bias"}}
        for part in ("query", "key"):
            params[f"{OWN}0.{part}.weight"][:, :d] = torch.eye(d) * (d**0.5 / _TEMPERATURE) ** 0.5
        params[OWN + "0.value.weight"][:, d:] = torch.eye(self.slots)
        at = d + self.slots
        params[OWN + "out.weight"][:, at : at + self.slots] = torch.eye(self.slots) * _SCALE
        return params

    def adapt(self, params: Params, task: TensorTask) -> Past:
        """Run all layers over the support, once for all queries."""
        import torch

        support = as_sequence(self.network.apply(network_params(params), task.support_x), task, self.slots)
        n, exists = len(support.x), support.mask[:, None]
        columns, inputs = torch.cat([support.x, support.y], dim=-1) * exists, []
        rows = torch.arange(n, device=columns.device)
        visible = (rows[None, :] <= rows[:, None]) & (support.mask > 0)
        for at, (kind, _, dilation) in enumerate(self.layers):
            layer = own_params(params, f"{at}.")
            inputs.append(columns)
            if kind == "attend":
                new = attend(layer, columns, columns, visible)
            else:
                before = torch.cat([columns.new_zeros(dilation, columns.shape[-1]), columns])[:n]
                new = convolve(layer, columns, before)
            columns = torch.cat([columns, new * exists], dim=-1)
        return Past(support, inputs, params)

    def logits(self, fast: Past, query_x: Tensor) -> Tensor:
        """(n_query, way): each query is the element after the support, and sees no other query."""
        import torch
        from torch.nn.functional import linear

        queries = self.network.apply(network_params(fast.params), query_x)
        n_query, n = len(queries), len(fast.support.x)
        columns = torch.cat([queries, queries.new_zeros(n_query, self.slots)], dim=-1)
        for at, ((kind, _, dilation), past) in enumerate(zip(self.layers, fast.inputs, strict=True)):
            layer = own_params(fast.params, f"{at}.")
            if kind == "attend":
                new = attend(layer, columns, past, fast.support.mask.expand(n_query, n) > 0, itself=True)
            else:
                before = past[n - dilation] if dilation <= n else past.new_zeros(past.shape[-1])
                new = convolve(layer, columns, before.expand(n_query, -1))
            columns = torch.cat([columns, new], dim=-1)
        out = own_params(fast.params, "out.")
        return fast.support.by_class(linear(columns, out["weight"], out["bias"]))


def convolve(layer: Params, now: Tensor, before: Tensor) -> Tensor:
    """A gated causal convolution of kernel size 2.

    Args:
        layer: `now.*` and `before.*`, each of 2 * filters outputs: first the signal, then the gate.
        now: (n, columns) the elements. before: (n, columns) those that lie one dilation back, 0 before the start.

    Returns:
        (n, filters).
    """
    from torch.nn.functional import linear

    moved = linear(now, layer["now.weight"], layer["now.bias"])
    moved = moved + linear(before, layer["before.weight"], layer["before.bias"])
    signal, gate = moved.chunk(2, dim=-1)
    return signal.tanh() * gate.sigmoid()


def attend(layer: Params, now: Tensor, past: Tensor, visible: Tensor, *, itself: bool = False) -> Tensor:
    """Scaled dot-product attention of one head.

    Args:
        layer: `query.*`, `key.*` and `value.*`.
        now: (n, columns) what asks. past: (m, columns) what is asked.
        visible: (n, m) which of the past each sees.
        itself: whether each sees itself too, beside the past.

    Returns:
        (n, values).
    """
    import torch
    from torch.nn.functional import linear

    def of(part: str, x: Tensor) -> Tensor:
        return linear(x, layer[f"{part}.weight"], layer[f"{part}.bias"])

    asked, values = of("query", now), of("value", past)
    near = (asked @ of("key", past).mT).where(visible, ABSENT)
    if not itself:
        return (near / asked.shape[-1] ** 0.5).softmax(dim=-1) @ values
    own = (asked * of("key", now)).sum(dim=-1, keepdim=True)
    weights = (torch.cat([near, own], dim=-1) / asked.shape[-1] ** 0.5).softmax(dim=-1)
    return weights[..., :-1] @ values + weights[..., -1:] * of("value", now)


# On a frozen encoder it starts as a matching network.
Learner = meta_learner(SNAIL, start="matching", filters=32, slots=10)
