"""Fine-tuning a Hugging Face encoder with a linear head on the support of each problem.

Devlin et al., NAACL 2019, arXiv 1810.04805.

Traps: results vary from seed to seed more than between methods; every problem starts from the published weights again;
each takes seconds on a GPU and minutes on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from classic.learners.support_training import TrainedOnSupport, batches, seeded, tokens_of, train_on_support
from evals.content import whole_text
from evals.learner import Context, failure, require_kind
from evals.types import Answer, Problem, Status
from fewshot.core.devices import resolve_device
from fewshot.encoders.prototypes import log_softmax

if TYPE_CHECKING:
    from torch import Tensor

    from classic.networks.hub import ModelIds


@dataclass(eq=False, kw_only=True)
class FineTune(TrainedOnSupport):
    """All weights of an encoder, and a linear head, trained on the support.

    Attributes:
        head_lr: step size for the head.
        pooling: "mean" over the tokens, or "cls".
    """

    name = "finetune"
    head_lr: float = 1e-2
    pooling: str = "mean"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Train on the support, then label the queries."""
        import torch

        require_kind(problem, "classification", self.name)
        if not problem.support:
            return failure(problem, Status.ERROR, f"{self.name} needs at least one support text").answers
        ids, module = self._fresh(resolve_device(ctx.device))
        column = {label.name: at for at, label in enumerate(problem.labels)}
        classes = torch.tensor([column[str(example.label)] for example in problem.support])
        with seeded(ctx.seed, problem.id, self.name):
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

    def _train(self, module: Any, ids: ModelIds, problem: Problem, classes: Tensor, ctx: Context) -> Any:
        """Train module and head; returns the head."""
        import torch

        device = next(module.parameters()).device
        classes = classes.to(device)
        head = torch.nn.Linear(module.config.hidden_size, len(problem.labels)).to(device)
        texts = [whole_text(example) for example in problem.support]

        def loss(rows: np.ndarray) -> Tensor:
            logits = head(self._embed(module, ids, [texts[row] for row in rows]))
            return torch.nn.functional.cross_entropy(logits, classes[torch.from_numpy(rows).to(device)])

        trained = [value for value in module.parameters() if value.requires_grad]
        groups = [{"params": trained, "lr": self.lr}, {"params": [*head.parameters()], "lr": self.head_lr}]
        train_on_support(module, groups, loss, batches(len(texts), self.steps, self.batch_size, ctx.seed, problem.id))
        return head

    def _embed(self, module: Any, ids: ModelIds, texts: Sequence[str]) -> Tensor:
        """(n, d) pooled last hidden states."""
        from classic.networks.text import mean_over_tokens

        hidden, mask = tokens_of(module, ids, texts)
        return hidden[:, 0] if self.pooling == "cls" else mean_over_tokens(hidden, mask)
