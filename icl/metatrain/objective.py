"""The loss of a batch: cross entropy on the tokens that are targets, and on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from icl.metatrain.collation import Batch

if TYPE_CHECKING:
    from torch import Tensor


#: Architectures whose logits are their last hidden state times one matrix, with nothing in between or after.
_PLAIN_HEADS = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")


@dataclass(frozen=True)
class Shares:
    """What one token weighs in the loss of a step, whichever batch it is computed in.

    Attributes:
        label: of a token of an answer, its alternatives included. text: of any other.
    """

    label: float
    text: float


def token_losses(model: Any, batch: Batch, *, among_words: bool = False) -> tuple[Tensor, Tensor]:
    """(n_targets,) cross entropies and most probable tokens. Logits are computed for targets alone.

    Args:
        among_words: whether tokens of answers are told apart from those of the sequence's other answers alone.
    """
    import torch

    device = model.device
    rows, columns = (torch.from_numpy(at).to(device) for at in (batch.rows, batch.columns - 1))
    inputs = {"input_ids": torch.from_numpy(batch.ids).to(device), "use_cache": False}
    if type(model).__name__ in _PLAIN_HEADS:
        wanted = model.lm_head(model.model(**inputs).last_hidden_state[rows, columns]).float()
    else:
        wanted = model(**inputs).logits[rows, columns].float()
    targets = batch.targets().to(device)
    if among_words:
        targets_of_answers, tokens = (torch.from_numpy(at).to(device) for at in batch.rivals)
        n_answers = batch.n_labels + batch.n_alternatives
        others = torch.full_like(wanted[:n_answers], -torch.inf)
        others[targets_of_answers, tokens] = 0.0
        wanted = torch.cat([wanted[:n_answers] + others, wanted[n_answers:]])
    return torch.nn.functional.cross_entropy(wanted, targets, reduction="none"), wanted.argmax(dim=-1)


def weighted_loss(losses: Tensor, batch: Batch, shares: Shares) -> Tensor:
    """The batch's part of the loss of its step."""
    import torch

    weighted = losses * torch.from_numpy(batch.weights).to(losses)
    n_answers = batch.n_labels + batch.n_alternatives
    return weighted[:n_answers].sum() * shares.label + weighted[n_answers:].sum() * shares.text


def n_right(predicted: Tensor, batch: Batch) -> int:
    """Answers of which every token is the most probable one."""
    wrong = (predicted.cpu() != batch.targets()).numpy()[: batch.n_labels]
    return int((np.add.reduceat(wrong, batch.starts) == 0).sum()) if len(batch.starts) else 0
