"""Class means of one task, and nearest class mean on cached vectors: thousands of problems as a few batched matmuls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from classic.functional.distances import Distance, require_metric, similarity
from classic.functional.losses import one_hot

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import TensorTask

#: Numbers that are gathered at once: 4 MB of float32 stay in the cache.
BUDGET = 1_000_000


def class_means(embedded: Tensor, task: TensorTask) -> Tensor:
    """(n_support, d) embeddings -> (way, d) mean of every class, by a matmul with indicators."""
    members = one_hot(task.support_y, len(task.class_mask), task.support_mask)
    return members.mT @ embedded / members.sum(dim=0).clamp(min=1)[:, None]


def prototype_logits(
    features: Tensor,
    support_idx: Tensor,
    query_idx: Tensor,
    distance: Distance = "euclidean",
    temperature: float = 1.0,
) -> Tensor:
    """Logits of many problems of the same shape (Snell et al. 2017, on frozen vectors).

    Args:
        features: (n, d) vectors of all texts.
        support_idx: (n_problems, way, shot) int64 rows of `features`.
        query_idx: (n_problems, n_query).
        distance: "euclidean" (squared) or "cosine".
        temperature: similarities are divided by it.

    Returns:
        (n_problems, n_query, way).
    """
    import torch

    require_metric(distance, temperature)
    n_problems, way, shot = support_idx.shape
    rows = way * shot + query_idx.shape[1]
    chunk = max(1, BUDGET // (rows * features.shape[1]))
    logits = []
    for at in range(0, n_problems, chunk):
        support = features[support_idx[at : at + chunk]].mean(dim=2)
        logits.append(similarity(features[query_idx[at : at + chunk]], support, distance) / temperature)
    return torch.cat(logits)
