"""Losses and accuracies of tasks that were answered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from classic.functional.losses import Loss, task_accuracy, task_loss

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import TensorTask


def task_scores(outputs: Tensor, batch: TensorTask) -> tuple[Tensor, Tensor | None]:
    """(n_tasks,) losses and accuracies of a batch; infinite loss and no accuracy where the outputs are not finite."""
    import torch

    finite = outputs.isfinite().flatten(start_dim=1).all(dim=1)
    classify = not batch.query_y.is_floating_point()
    kind: Loss = "cross_entropy" if classify else "mse"
    rows = list(zip(outputs, batch.query_y, batch.query_mask, strict=True))
    losses = torch.stack([task_loss(out, y, mask, kind) for out, y, mask in rows])
    losses = torch.where(finite, losses, math.inf)
    if not classify:
        return losses, None
    accuracies = torch.stack([task_accuracy(out, y, mask) for out, y, mask in rows])
    return losses, torch.where(finite, accuracies, 0.0)
