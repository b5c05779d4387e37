"""Losses and metrics of one task under masks: padded rows and classes never count.

Every loss is a MEAN over the rows that exist. MAML's own code divides the summed cross-entropy of its 5-way 1-shot
tasks by the shot alone; its inner rate of 0.4 is therefore a rate of 2.0 here (0.4 * way).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["cross_entropy", "mse"]

#: Logit of a class that does not exist: its probability is exactly 0, and sums with it stay finite.
ABSENT = -1e9


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (n,) values where mask (n,) is 1; 0 where it is nowhere."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def mask_classes(logits: Tensor, class_mask: Tensor) -> Tensor:
    """(n, way) logits with `ABSENT` in the columns of classes that do not exist."""
    return logits.where(class_mask > 0, ABSENT)


def one_hot(y: Tensor, way: int, mask: Tensor) -> Tensor:
    """(n, way) indicators in the dtype of the mask; rows that do not exist are zero."""
    import torch

    return (y[:, None] == torch.arange(way, device=y.device)).to(mask.dtype) * mask[:, None]


def task_loss(outputs: Tensor, y: Tensor, mask: Tensor, loss: Loss) -> Tensor:
    """The loss of one task.

    Args:
        outputs: (n, way) logits with absent classes masked, or (n, d) predictions.
        y: (n,) class numbers, or (n, d) targets.
        mask: (n,).
        loss: "cross_entropy", or "mse": squared error, mean over the d targets.
    """
    if loss == "mse":
        return masked_mean((outputs - y).square().mean(dim=-1), mask)
    # A matmul with indicators, not a gather: it is batched and differentiated twice at no extra cost.
    chosen = outputs.log_softmax(dim=-1) * one_hot(y, outputs.shape[-1], mask)
    return -chosen.sum() / mask.sum().clamp(min=1)


def contrastive_loss(near: Tensor, same: Tensor, exists: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362, eq. 2): those of one class are alike.

    A row is compared with all others but itself; its loss is the mean of -log softmax over those of its own class.

    Args:
        near: (n, n) similarities, divided by a temperature.
        same: (n, n) 1 where row and column are of one class.
        exists: (n,) 1 for rows that exist.

    Returns:
        () mean over the rows that have another of their class; 0 where there are none.
    """
    import torch

    others = exists[:, None] * exists[None] * (1 - torch.eye(len(near), dtype=near.dtype, device=near.device))
    probable = near.where(others > 0, ABSENT).log_softmax(dim=-1)
    alike = same * others
    count = alike.sum(dim=-1)
    return -masked_mean((probable * alike).sum(dim=-1) / count.clamp(min=1), (count > 0).to(near.dtype))


def task_accuracy(logits: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Share of the rows that exist whose greatest logit is that of their class."""
    return masked_mean((logits.argmax(dim=-1) == y).to(mask.dtype), mask)
