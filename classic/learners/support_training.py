"""Encoders that are trained on the support of one problem: loading, a few dozen steps with warm-up, starting over.

Hyperparameters after Mosbach et al., ICLR 2021, arXiv 2006.04884: small steps with warm-up, and many of them, since
few-shot fine-tuning fails for want of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from classic.learners.by_language import LearnerByLanguage
from fewshot.core.errors import UsageError
from fewshot.core.seeds import random_state, seed_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from classic.networks.hub import ModelIds


@dataclass(eq=False, kw_only=True)
class TrainedOnSupport(LearnerByLanguage):
    """A Hugging Face encoder that starts from its published weights in every problem.

    Attributes:
        encoder: "minilm", "e5-small", a directory, or an id on the Hugging Face hub; "auto" is one of the first two, by
            the language of the texts.
        steps: optimiser steps. batch_size: texts per step, drawn in turn from shuffled rounds of the support.
        lr: step size for the encoder's weights (AdamW), after a warm-up over the first tenth of the steps.
        max_length: tokens per text.
    """

    kinds = ("classification",)
    extra = "local"
    steps: int = 60
    batch_size: int = 16
    lr: float = 5e-5
    max_length: int = 64
    _loaded: tuple[ModelIds, Any, dict[str, Tensor]] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_training(self.steps, self.batch_size)

    def _fresh(self, device: str) -> tuple[ModelIds, Any]:
        """The tokenizer, and the module as it was published."""
        from classic.networks.hub import ModelIds, load_module, transformer

        if self._loaded is None:
            encoder = transformer(self.encoder)
            module = self._prepared(load_module(encoder.folder)).to(device)
            published = {name: value.detach().clone() for name, value in module.state_dict().items()}
            self._loaded = ModelIds(encoder.folder, self.max_length, encoder.prefix), module, published
        ids, module, published = self._loaded
        module.load_state_dict(published)
        return ids, module

    def _prepared(self, module: Any) -> Any:
        """The module with those weights set to be trained that are."""
        return module


def check_training(steps: int, batch_size: int) -> None:
    """Refuse numbers that are no numbers of steps or texts. Raises UsageError."""
    if steps < 0:
        raise UsageError(f"steps={steps} is below 0; 0 trains nothing")
    if batch_size < 1:
        raise UsageError(f"batch_size={batch_size} is too small: at least 1 text is needed")


def tokens_of(module: Any, ids: ModelIds, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(n, length, d) last hidden states, and (n, length) which tokens there are, in the same dtype."""
    rows = ids.rows(texts).to(next(module.parameters()).device)
    mask = rows != ids.pad
    rows, mask = rows[:, mask.any(dim=0)], mask[:, mask.any(dim=0)]
    hidden = module(input_ids=rows, attention_mask=mask.long()).last_hidden_state
    return hidden, mask.to(hidden.dtype)


def train_on_support(
    module: nn.Module,
    groups: Sequence[dict[str, Any]],
    loss: Callable[[np.ndarray], Tensor],
    order: Sequence[np.ndarray],
) -> None:
    """Minimise a loss over the support by AdamW; the module is in training mode meanwhile.

    Args:
        groups: of parameters, each with its own `lr`, as torch's optimisers take them.
        loss: of a batch, which is given by its rows in the support.
        order: the batches, one per step (`batches`).
    """
    import torch

    optimizer = torch.optim.AdamW(groups)
    rates = [group["lr"] for group in groups]
    trained = [value for group in optimizer.param_groups for value in group["params"]]
    module.train()
    for step, rows in enumerate(order):
        value = loss(rows)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * _warm_up_and_decay(step, len(order))
        optimizer.step()
    module.eval()


def batches(n: int, steps: int, size: int, *seed: Any) -> list[np.ndarray]:
    """Indices below n for every step: shuffled rounds, so that no text is seen twice before all were."""
    random = random_state(*seed, "order")
    order = np.concatenate([np.zeros(0, np.int64), *(random.permutation(n) for _ in range(-(-steps * size // n)))])
    return [order[step * size : (step + 1) * size] for step in range(steps)]


@contextmanager
def seeded(*seed: Any) -> Iterator[None]:
    """Torch's global generator, from which dropout draws, begins at a seed, and is left as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(*seed))
        yield


def _warm_up_and_decay(step: int, steps: int) -> float:
    """From 0 to 1 over the first tenth of the steps, then linearly to 0."""
    warm = max(1, steps // 10)
    return min((step + 1) / warm, (steps - step) / max(1, steps - warm))
