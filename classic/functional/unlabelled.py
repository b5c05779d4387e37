"""Tasks that bring texts without labels along, for algorithms that learn from these, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class UnlabelledTask(NamedTuple):
    """A `TensorTask` with unlabelled texts and paraphrases of each beside it; all its own fields mean the same.

    Attributes:
        unlabelled_x: (n_unlabelled, 1 + n_paraphrases, ...) every text, and then its paraphrases.
        supervised_share: () from 0 to 1, how much the labelled part of the loss counts; the rest is the other's.
    """

    support_x: Tensor
    support_y: Tensor
    support_mask: Tensor
    query_x: Tensor
    query_y: Tensor
    query_mask: Tensor
    class_mask: Tensor
    unlabelled_x: Tensor
    supervised_share: Tensor


def shared_loss(supervised: Tensor, unsupervised: Tensor, share: Tensor) -> Tensor:
    """What both parts come to.

    A part without a share is left out, and not multiplied by 0: it may not be finite.
    """
    return share * supervised.where(share > 0, 0) + (1 - share) * unsupervised.where(share < 1, 0)
