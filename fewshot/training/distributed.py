"""Data parallelism over tasks: every process takes its share of the meta-batch, and the gradients are averaged.

Start with `torchrun --nproc-per-node N -m fewshot ...` or `accelerate launch`; both set the variables read here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Workers:
    """This process among those that train together. One process alone is rank 0 of 1.

    Attributes:
        rank: its number.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def share(self, start: int, stop: int) -> tuple[int, int]:
        """The tasks of start, ..., stop - 1 that this process works on.

        Raises:
            UsageError: they cannot be shared evenly.
        """
        n_tasks = stop - start
        if n_tasks % self.size:
            raise UsageError(
                f"a meta-batch of {n_tasks} tasks cannot be shared by {self.size} processes; "
                f"use a meta_batch that {self.size} divides"
            )
        each = n_tasks // self.size
        return start + self.rank * each, start + (self.rank + 1) * each

    def average(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The mean over all processes, of tensors that each has under the same names."""
        if self.size == 1:
            return tensors
        import torch
        from torch import distributed

        # One message instead of one per tensor.
        flat = torch.cat([tensor.flatten() for tensor in tensors.values()])
        distributed.all_reduce(flat)
        parts = (flat / self.size).split([tensor.numel() for tensor in tensors.values()])
        return {name: part.view_as(like) for (name, like), part in zip(tensors.items(), parts, strict=True)}


def is_first() -> bool:
    """Whether this process is the one that writes files."""
    return os.environ.get("RANK", "0") == "0"


def join(device: str) -> tuple[Workers, str]:
    """Join the processes that torchrun or accelerate started, if any.

    Args:
        device: a resolved device name; "cuda" becomes the GPU of this process.

    Returns:
        this process among them, and its device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Workers(), device
    import torch
    from torch import distributed

    if device == "cuda":
        device = f"cuda:{int(os.environ['LOCAL_RANK'])}"
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Workers(distributed.get_rank(), size), device
