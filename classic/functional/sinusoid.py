"""Sinusoid regression, the smallest meta-learning problem. Finn, Abbeel and Levine, ICML 2017, section 5.1.

A task is y = a * sin(x - p) with a from U[0.1, 5], p from U[0, pi], and x from U[-5, 5].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import TYPE_CHECKING

from classic.functional.base import TensorTask
from fewshot.core.seeds import seed_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Tasks that are drawn together. Part of what decides a task.
BLOCK = 1000
LIMIT = 5.0


@dataclass(frozen=True)
class Sinusoids:
    """Regression tasks. Task i is a function of the seed and i alone.

    Args:
        shot: support points per task.
        query: query points per task; drawn like the support, or with `grid` spread evenly over [-5, 5].
        seed: drawn anew with every value.
        grid: evenly spaced queries, for testing.
    """

    shot: int = 10
    query: int = 10
    seed: int = 0
    grid: bool = False

    def batch(self, start: int, stop: int) -> TensorTask:
        """Tasks start, ..., stop - 1, stacked; inputs and targets are (n_tasks, points, 1) float32."""
        import torch

        blocks = range(start // BLOCK, (stop - 1) // BLOCK + 1)
        drawn = torch.cat([_block(self.seed, self.shot + self.query, each) for each in blocks])
        drawn = drawn[start - blocks[0] * BLOCK : stop - blocks[0] * BLOCK]
        amplitude, phase, x = drawn[:, :1], drawn[:, 1:2], drawn[:, 2:]
        support, query = x[:, : self.shot], x[:, self.shot :]
        if self.grid:
            query = torch.linspace(-LIMIT, LIMIT, self.query).expand(len(x), -1)

        def targets(points: Tensor) -> Tensor:
            return (amplitude * torch.sin(points - phase))[..., None]

        return TensorTask(
            support[..., None],
            targets(support),
            torch.ones_like(support),
            query[..., None],
            targets(query),
            torch.ones_like(query),
            torch.ones(len(x), 1),
        )


@lru_cache(maxsize=4)
def _block(seed: int, points: int, number: int) -> torch.Tensor:
    """(BLOCK, 2 + points) amplitude, phase and inputs of every task of a block."""
    import torch

    generator = torch.Generator().manual_seed(seed_of("sinusoid", seed, points, number))
    uniform = torch.rand(BLOCK, 2 + points, generator=generator)
    low = torch.tensor([0.1, 0.0] + [-LIMIT] * points)
    high = torch.tensor([LIMIT, pi] + [LIMIT] * points)
    return low + (high - low) * uniform
