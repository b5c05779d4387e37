"""Fine-tuning a Hugging Face encoder with a linear head on the support of each problem.

Devlin et al., NAACL 2019, arXiv 1810.04805. Hyperparameters after Mosbach et al., ICLR 2021, arXiv 2006.04884: small
steps with warm-up, and many of them, since few-shot fine-tuning fails for want of steps.

Traps: results vary from seed to seed more than between methods; every problem starts from the published weights again;
each takes seconds on a GPU and minutes on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from classic.learners.by_language import LearnerByLanguage
from evals.content import whole_text
from evals.learner import Context, failure, require_kind
from evals.types import Answer, Problem, Status
from fewshot.core.devices import resolve_device
from fewshot.core.seeds import random_state, seed_of
from fewshot.encoders.prototypes import log_softmax

if TYPE_CHECKING:
    from torch import Tensor

    from classic.networks.hub import ModelIds


@dataclass(eq=False, kw_only=True)
class FineTune(LearnerByLanguage):
    """All weights of an encoder, trained on the support.

    Attributes:
        encoder: "minilm", "e5-small", a directory, or an id on the Hugging Face hub; "auto" is one of the first two, by
            the language of the texts.
        steps: optimiser steps. batch_size: texts per step, drawn in turn from shuffled rounds of the support.
        lr: step size for the encoder's weights (AdamW), after a warm-up over the first tenth of the steps.
        head_lr: step size for the head.
        pooling: "mean" over the tokens, or "cls".
        max_length: tokens per text.
    """

    name = "finetune"
    kinds = ("classification",)
    extra = "local"
    steps: int = 60
    batch_size: int = 16
    lr: float = 5e-5
    head_lr: float = 1e-2
    pooling: str = "mean"
    max_length: int = 64
    _loaded: tuple[ModelIds, Any, dict[str, Tensor]] | None = field(default=None, init=False, repr=False)

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Train on the support, then label the queries."""
        import torch

        require_kind(problem, "classification", self.name)
        if not problem.support:
            return failure(problem, Status.ERROR, f"{self.name} needs at least one support text").answers
        ids, module = self._fresh(resolve_device(ctx.device))
        column = {label.name: at for at, label in enumerate(problem.labels)}
        classes = torch.tensor([column[str(example.label)] for example in problem.support])
        # Dropout draws from the global generator; outside of this problem it stays as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(ctx.seed, problem.id, self.name))
            head = self._train(module, ids, problem, classes, ctx)
        with torch.inference_mode():
            features = self._embed(module, ids, [whole_text(query) for query in problem.queries])
            logits = head(features).double().cpu().numpy()
        if not np.isfinite(logits).all():
            return failure(problem, Status.ERROR, "fine-tuning diverged: use a smaller lr").answers
        return [
            Answer(problem.labels[int(row.argmax())].name, scores=tuple(row.tolist()), score_kind="logprob")
            for row in log_softmax(logits)
        ]

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

    def _train(self, module: Any, ids: ModelIds, problem: Problem, classes: Tensor, ctx: Context) -> Any:
        """Train module and head; returns the head."""
        import torch

        device = next(module.parameters()).device
        classes = classes.to(device)
        head = torch.nn.Linear(module.config.hidden_size, len(problem.labels)).to(device)
        trained = [value for value in module.parameters() if value.requires_grad]
        optimizer = torch.optim.AdamW([{"params": trained, "lr": self.lr}, {"params": head.parameters()}], self.head_lr)
        rates = [group["lr"] for group in optimizer.param_groups]
        order = _rounds(len(problem.support), self.steps * self.batch_size, ctx.seed, problem.id)
        module.train()
        for step in range(self.steps):
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            logits = head(self._embed(module, ids, [whole_text(problem.support[row]) for row in rows.tolist()]))
            loss = torch.nn.functional.cross_entropy(logits, classes[torch.from_numpy(rows).to(device)])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*trained, *head.parameters()], 1.0)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * _warm_up_and_decay(step, self.steps)
            optimizer.step()
        module.eval()
        return head.eval()

    def _embed(self, module: Any, ids: ModelIds, texts: Sequence[str]) -> Tensor:
        """(n, d) pooled last hidden states."""
        from classic.networks.text import mean_over_tokens

        rows = ids.rows(texts).to(next(module.parameters()).device)
        mask = rows != ids.pad
        rows, mask = rows[:, mask.any(dim=0)], mask[:, mask.any(dim=0)]
        hidden = module(input_ids=rows, attention_mask=mask.long()).last_hidden_state
        return hidden[:, 0] if self.pooling == "cls" else mean_over_tokens(hidden, mask.to(hidden.dtype))


def _warm_up_and_decay(step: int, steps: int) -> float:
    """From 0 to 1 over the first tenth of the steps, then linearly to 0."""
    warm = max(1, steps // 10)
    return min((step + 1) / warm, (steps - step) / max(1, steps - warm))


def _rounds(n: int, total: int, *seed: Any) -> np.ndarray:
    """(total,) indices below n: shuffled rounds, one after the other, so that no text is seen twice before all were."""
    random = random_state(*seed, "order")
    return np.concatenate([random.permutation(n) for _ in range(-(-total // n))])[:total]
