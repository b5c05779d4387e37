"""The loss of a batch: cross entropy on the tokens that are targets, and on nothing else."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from icl.metatrain.collation import Batch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Shares:
    """What one token weighs in the loss of a step, whichever batch it is computed in.

    Attributes:
        label: of a token of an answer. text: of any other.
    """

    label: float
    text: float


def token_losses(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """(n_targets,) cross entropies and most probable tokens. Logits are computed for columns with a target alone."""
    import torch

    device = model.device
    kept = torch.from_numpy(batch.kept).to(device)
    inputs = {"input_ids": torch.from_numpy(batch.ids).to(device), "use_cache": False}
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        logits = model(**inputs, logits_to_keep=kept).logits
    else:
        logits = model(**inputs).logits[:, kept]
    columns = torch.from_numpy(np.searchsorted(batch.kept, batch.columns - 1)).to(device)
    wanted = logits[torch.from_numpy(batch.rows).to(device), columns].float()
    targets = batch.targets().to(device)
    return torch.nn.functional.cross_entropy(wanted, targets, reduction="none"), wanted.argmax(dim=-1)


def weighted_loss(losses: Tensor, batch: Batch, shares: Shares) -> Tensor:
    """The batch's part of the loss of its step."""
    return losses[: batch.n_labels].sum() * shares.label + losses[batch.n_labels :].sum() * shares.text


def n_right(predicted: Tensor, batch: Batch) -> int:
    """Answers of which every token is the most probable one."""
    wrong = (predicted.cpu() != batch.targets()).numpy()[: batch.n_labels]
    return int((np.add.reduceat(wrong, batch.starts) == 0).sum()) if len(batch.starts) else 0
