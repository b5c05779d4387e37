"""A support read as a sequence, by learners that take one example after the other, each with a label.

A support is a set, and its classes have no numbers. So that neither the order in which rows are listed nor the
numbering of the classes can decide an answer, rows are sorted along a fixed direction of their embeddings, and classes
take the label slots in the order in which they first occur. An order that means the same in every task is also easier
to learn from than a random one: a memory-augmented network needs a third of the episodes of a toy.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from classic.functional.losses import mask_classes, one_hot
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import TensorTask

_GOLDEN = (sqrt(5) - 1) / 2


class Sequence(NamedTuple):
    """The support in reading order. Rows that do not exist come first.

    Attributes:
        x: (n_support, d) embeddings.
        y: (n_support, slots) label slot of each row, as an indicator.
        mask: (n_support,) which rows exist.
        places: (way, slots) slot of each class, as an indicator.
        class_mask: (way,) which classes exist.
    """

    x: Tensor
    y: Tensor
    mask: Tensor
    places: Tensor
    class_mask: Tensor

    def by_class(self, outputs: Tensor) -> Tensor:
        """(n_query, slots) outputs -> (n_query, way) logits."""
        return mask_classes(outputs @ self.places.mT, self.class_mask)


def as_sequence(embedded: Tensor, task: TensorTask, slots: int) -> Sequence:
    """The support of a task in reading order.

    Args:
        embedded: (n_support, d) embeddings of the support.
        slots: labels that can be told apart.

    Raises:
        UsageError: more classes than slots.
    """
    import torch

    n, way = len(embedded), len(task.class_mask)
    if way > slots:
        raise UsageError(f"a task of {way} classes does not fit {slots} label slots; train with slots={way} or more")
    order = reading_order(embedded, task.support_mask)
    members = one_hot(task.support_y, way, task.support_mask)[order]
    rows, classes = (torch.arange(size, device=embedded.device) for size in (n, way))
    # A class without support comes after all others.
    first = rows[:, None].where(members > 0, n + classes).amin(dim=0)
    place = (first[None, :] < first[:, None]).sum(dim=1)
    places = one_hot(place, slots, torch.ones_like(task.class_mask))
    return Sequence(embedded[order], members @ places, task.support_mask[order], places, task.class_mask)


def reading_order(embedded: Tensor, mask: Tensor) -> Tensor:
    """(n,) positions of (n, d) rows along a direction that is the same for every task; absent rows come first."""
    import torch

    at = torch.arange(1, embedded.shape[-1] + 1, device=embedded.device, dtype=torch.float64)
    direction = ((_GOLDEN * at * at).frac() - 0.5).to(embedded.dtype)
    return (embedded.detach() @ direction).where(mask > 0, -torch.inf).argsort(stable=True)
