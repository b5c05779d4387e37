"""An LSTM cell written out: cuDNN's has no second derivative, and neither it nor torch.nn.LSTM runs under vmap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classic.functional.losses import ABSENT
from classic.networks.mlp import linear_params

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


def cell_params(inputs: int, recurrent: int, hidden: int, generator: torch.Generator) -> Params:
    """Parameters of a cell with `inputs` and `recurrent` columns coming in and `hidden` going out."""
    layer = linear_params(inputs + recurrent, 4 * hidden, generator)
    return {"weight": layer["weight"], "bias": layer["bias"]}


def step(cell: Params, x: Tensor, recurrent: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """One step: (..., inputs), (..., recurrent), (..., hidden) -> new output and memory, (..., hidden) each."""
    import torch
    from torch.nn.functional import linear

    gates = linear(torch.cat([x, recurrent], dim=-1), cell["weight"], cell["bias"])
    write, forget, out, new = gates.chunk(4, dim=-1)
    memory = forget.sigmoid() * memory + write.sigmoid() * new.tanh()
    return out.sigmoid() * memory.tanh(), memory


def read(cell: Params, rows: Tensor, mask: Tensor) -> Tensor:
    """Read rows in order.

    Args:
        cell: of size (d, d, d).
        rows: (n, d).
        mask: (n,); a row that does not exist leaves the state as it is.

    Returns:
        (n, d) outputs.
    """
    import torch

    output = memory = torch.zeros_like(rows[0])
    outputs = []
    for row, exists in zip(rows.unbind(0), mask.unbind(0), strict=True):
        new_output, new_memory = step(cell, row, output, memory)
        output = new_output.where(exists > 0, output)
        memory = new_memory.where(exists > 0, memory)
        outputs.append(output)
    return torch.stack(outputs)


def attend_and_read(cell: Params, queries: Tensor, support: Tensor, present: Tensor, reads: int) -> Tensor:
    """Read every query `reads` times in the light of the support (Vinyals et al. 2016, equations 3 to 6).

    Args:
        cell: of size (d, 2d, d).
        queries: (n_query, d).
        support: (n_support, d).
        present: (n_support,), 1 for rows that exist.

    Returns:
        (n_query, d).
    """
    import torch

    output, memory = queries, torch.zeros_like(queries)
    for _ in range(reads):
        attention = (output @ support.mT).where(present > 0, ABSENT).softmax(dim=-1)
        step_output, memory = step(cell, queries, torch.cat([output, attention @ support], dim=-1), memory)
        output = step_output + queries
    return output
