"""Memory-augmented networks. Santoro, Bartunov, Botvinick, Wierstra and Lillicrap, ICML 2016, arXiv 1605.06065.

An LSTM reads the support one row after the other, each with the label of the row BEFORE it, so that it has to keep what
it saw until the label comes. It keeps it in a memory: a key is written to the cell that was used least or to the one
that was read last (least recently used access, LRUA), and read back by cosine. A query is one more row of the sequence.

Traps: a cell is written before it is read, with the weights of the step before; cells that tie for the least use must
not all be chosen, or the first write fills the whole memory; the softmax over cosines has no temperature in the paper,
and is then almost flat over 128 cells. In the paper every row of the sequence is also a query; here the loss is that of
the queries alone, as for every other learner.
The paper trains a controller that is random at first on 100,000 episodes. On intents by a frozen encoder, such a one is
right in 46 % after 100 steps of 8 episodes on the classes that it is trained on, and by chance on others. With
start="matching" the controller begins so that its first head writes the row before with its label, and its second looks
up the present one: a matching network in the paper's own memory, on a par with class means at one shot, and a little
below them at five (.911 against .918 on validation classes of HWU64).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from classic.functional.base import OWN, Network, network_params, own_params
from classic.functional.distances import require_metric
from classic.functional.episodic import Episodic
from classic.functional.sequence import Sequence, as_sequence
from classic.learners.meta import meta_learner
from classic.networks.lstm import cell_params, step
from classic.networks.mlp import linear_params
from fewshot.core.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

#: Squared length below which a cell counts as empty; a cosine with an empty cell is 0, and so is its slope.
_EMPTY = 1e-8
#: Where training starts by matching: the bias of a gate that is open; the size of a label beside an embedding; of the
#: key that reads, which is added to cells too, but compared by its direction alone; of attention as a logit.
_OPEN, _LABEL, _WHISPER, _SCALE = 5.0, 0.3, 0.01, 20.0
#: Columns of an embedding for which the LSTM that begins so has 40 million parameters.
_WIDEST = 1024


class State(NamedTuple):
    """What is carried from row to row, each with a leading dimension for sequences that are read side by side.

    Attributes:
        output, carry: (b, hidden) state of the LSTM.
        memory: (b, cells, width).
        weights: (b, reads, cells) read weights of the last step. used: (b, cells) how much each cell was used.
        read: (b, reads * width) what was read last.
        label: (b, slots) label of the last row.
    """

    output: Tensor
    carry: Tensor
    memory: Tensor
    weights: Tensor
    used: Tensor
    read: Tensor
    label: Tensor


class Read(NamedTuple):
    """The support as it was read, the state after it, all parameters."""

    support: Sequence
    state: State
    params: Params


@dataclass(frozen=True)
class MANN(Episodic):
    """An LSTM with a memory that reads the support, then the query.

    Args:
        network: embeds texts.
        slots: labels that can be told apart: the largest way.
        hidden_state: width of the LSTM. cells: rows of the memory. width: columns. Where training starts by matching,
            an embedding and a label must fit into a cell, and twice the former and a label into the LSTM: both widths
            are as large as that takes, if not larger.
        reads: read heads, and cells that a step writes anew.
        decay: share of the use of a cell that the next step remembers.
        temperature: cosines are divided by it; 1 in the paper.
        start: "random", or "matching" for a controller that begins as a matching network.
    """

    network: Network
    slots: int = 5
    hidden_state: int = 200
    cells: int = 128
    width: int = 40
    reads: int = 4
    decay: float = 0.95
    temperature: float = 1.0
    start: Literal["random", "matching"] = "random"

    name = "mann"

    def __post_init__(self) -> None:
        require_metric("cosine", self.temperature)
        if self.start not in ("random", "matching"):
            raise unknown_name("start", self.start, ["random", "matching"])
        if self.start == "matching" and self.reads < 2:
            raise UsageError(f"reads={self.reads} leaves no head to read with where start=matching; use 2 or more")
        if not 1 <= self.reads <= self.cells:
            raise UsageError(f"reads={self.reads} must be from 1 to the number of cells, which is {self.cells}")
        if self.start == "matching" and self.network.features > _WIDEST:
            raise UsageError(
                f"start=matching makes the LSTM twice as wide as an embedding, and one of {self.network.features} "
                f"columns is too wide for that; use start=random, or an encoder of at most {_WIDEST} columns"
            )

    @property
    def sizes(self) -> tuple[int, int]:
        """Width of the LSTM, and of a cell."""
        d, slots = self.network.features, self.slots
        if self.start == "random":
            return self.hidden_state, self.width
        return max(self.hidden_state, 2 * d + slots), max(self.width, d + slots)

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, `meta.controller.*`, `meta.key.*`, `meta.gate` () and `meta.out.*`."""
        import torch

        hidden, width = self.sizes
        kept = self.reads * width
        layers = {
            "controller": cell_params(self.network.features + self.slots, hidden + kept, hidden, generator),
            "key": linear_params(hidden, kept, generator),
            "out": linear_params(hidden + kept, self.slots, generator),
        }
        if self.start == "matching":
            layers = self._matching(layers)
        own = {f"{OWN}{layer}.{name}": value for layer, of in layers.items() for name, value in of.items()}
        gate = -_OPEN if self.start == "matching" else 0.0
        return self.network.init(generator) | own | {OWN + "gate": torch.tensor(gate)}

    def _matching(self, layers: dict[str, Params]) -> dict[str, Params]:
        """Gates that let everything through and keep nothing; a state of (present row, label, row before)."""
        import torch

        (hidden, width), d, slots = self.sizes, self.network.features, self.slots
        layers = {name: {key: torch.zeros_like(value) for key, value in of.items()} for name, of in layers.items()}
        present, label, before = slice(0, d), slice(d, d + slots), slice(d + slots, 2 * d + slots)
        rows, labels = torch.eye(d), torch.eye(slots)

        controller = layers["controller"]
        *_, new = controller["weight"].chunk(4)
        for bias, value in zip(controller["bias"].chunk(4), (_OPEN, -_OPEN, _OPEN, 0.0), strict=True):
            bias.fill_(value)
        new[present, :d] = rows
        new[label, d : d + slots] = labels * _LABEL
        new[before, d + slots : 2 * d + slots] = rows  # the state of the step before begins with its row

        writer, reader = layers["key"]["weight"][:width], layers["key"]["weight"][width : 2 * width]
        writer[:d, before], writer[d : d + slots, label] = rows, labels
        reader[:d, present] = rows * _WHISPER
        layers["out"]["weight"][:, hidden + width + d : hidden + width + d + slots] = labels * _SCALE / _LABEL
        return layers

    def adapt(self, params: Params, task: TensorTask) -> Read:
        """Read the support. Rows that do not exist leave the state as it is."""
        support = as_sequence(self.network.apply(network_params(params), task.support_x), task, self.slots)
        state = self._blank(support.x)
        for x, y, exists in zip(support.x, support.y, support.mask, strict=True):
            after = self.step(params, state, x[None])._replace(label=y[None])
            state = State(*(new.where(exists > 0, old) for new, old in zip(after, state, strict=True)))
        return Read(support, state, params)

    def logits(self, fast: Read, query_x: Tensor) -> Tensor:
        """(n_query, way): each query is read by itself, after the support."""
        import torch
        from torch.nn.functional import linear

        queries = self.network.apply(network_params(fast.params), query_x)
        each = State(*(value.expand(len(queries), *value.shape[1:]) for value in fast.state))
        after = self.step(fast.params, each, queries)
        out = own_params(fast.params, "out.")
        outputs = linear(torch.cat([after.output, after.read], dim=-1), out["weight"], out["bias"])
        return fast.support.by_class(outputs)

    def step(self, params: Params, state: State, x: Tensor) -> State:
        """Read one row of each of b sequences: (b, d)."""
        import torch
        from torch.nn.functional import linear

        seen, recurrent = torch.cat([x, state.label], dim=-1), torch.cat([state.output, state.read], dim=-1)
        output, carry = step(own_params(params, "controller."), seen, recurrent, state.carry)
        layer = own_params(params, "key.")
        key = linear(output, layer["weight"], layer["bias"]).tanh().unflatten(-1, (self.reads, self.sizes[1]))
        gate = params[OWN + "gate"].sigmoid()
        memory, writes = write(state.memory, key, gate, state.weights, least_used(state.used, self.reads))
        weights = (cosines(key, memory) / self.temperature).softmax(dim=-1)
        used = self.decay * state.used + (weights + writes).sum(dim=-2)
        return State(output, carry, memory, weights, used, (weights @ memory).flatten(-2), state.label)

    def _blank(self, like: Tensor) -> State:
        hidden, width = self.sizes
        shapes = [(hidden,), (hidden,), (self.cells, width), (self.reads, self.cells), (self.cells,)]
        return State(*(like.new_zeros(1, *shape) for shape in (*shapes, (self.reads * width,), (self.slots,))))


def least_used(used: Tensor, n: int) -> Tensor:
    """(..., cells) how much cells were used -> indicator of the n least used; of equals the first."""
    import torch

    order = used.detach().argsort(dim=-1, stable=True)
    cells = torch.arange(used.shape[-1], device=used.device)
    return (order[..., :n, None] == cells).any(dim=-2).to(used.dtype)


def write(memory: Tensor, key: Tensor, gate: Tensor, last_read: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Empty the least used cells, then add every key where it belongs.

    Args:
        memory: (..., cells, width).
        key: (..., reads, width).
        gate: (), share that goes to the cells that were read last; the rest goes to the least used.
        last_read: (..., reads, cells) read weights of the step before.
        least: (..., cells) indicator of the least used cells.

    Returns:
        The new memory, and the write weights (..., reads, cells).
    """
    weights = gate * last_read + (1 - gate) * least[..., None, :]
    return memory * (1 - least)[..., None] + weights.mT @ key, weights


def cosines(key: Tensor, memory: Tensor) -> Tensor:
    """(..., reads, width) keys, (..., cells, width) -> (..., reads, cells)."""
    lengths = [(each.square().sum(dim=-1) + _EMPTY).sqrt() for each in (key, memory)]
    return key @ memory.mT / (lengths[0][..., :, None] * lengths[1][..., None, :])


# On a frozen encoder it starts as a matching network. With 384 columns an episode of training takes a quarter of a
# second of a processor: hence few of them.
Learner = meta_learner(
    MANN, start="matching", slots=10, reads=2, temperature=0.1, steps=100, meta_batch=4, eval_every=50
)
