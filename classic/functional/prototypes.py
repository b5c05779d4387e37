"""Class means of one task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classic.functional.losses import one_hot

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import TensorTask


def class_means(embedded: Tensor, task: TensorTask) -> Tensor:
    """(n_support, d) embeddings -> (way, d) mean of every class, by a matmul with indicators."""
    members = one_hot(task.support_y, len(task.class_mask), task.support_mask)
    return members.mT @ embedded / members.sum(dim=0).clamp(min=1)[:, None]
