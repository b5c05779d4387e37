"""FastFit: texts are compared token by token, and trained to be near those of their class.

Yehudai and Bandel, NAACL 2024 (demonstrations), arXiv 2404.12365. The similarity of a text to another is the mean,
over its tokens, of the greatest cosine with a token of the other (late interaction: Khattab and Zaharia, SIGIR 2020,
arXiv 2004.12832). Support texts and names of labels are the documents of a class; in training each is to be like those
of its own class by the supervised contrastive loss over a batch.

As against its authors' library: no projection to 128 columns and no classification loss beside it, and a query is
compared with all documents of a class, not with its name alone.

Shapes: queries (n_query, length, d) and documents (n_documents, length, d) make (n_query, n_documents) similarities.

Traps: the similarity is not symmetric; a text is never its own positive, and with dropout its second view is, so that
one text per class without a name can still be trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from classic.functional.distances import require_metric
from classic.functional.losses import ABSENT, contrastive_loss
from classic.learners.support_training import TrainedOnSupport, batches, seeded, tokens_of, train_on_support
from evals.content import whole_text
from evals.label_names import Names, check_names, with_names
from evals.learner import Context, failure, require_kind
from evals.types import Answer, Problem, Status
from fewshot.core.devices import resolve_device
from fewshot.core.errors import unknown_name
from fewshot.encoders.prototypes import log_softmax

if TYPE_CHECKING:
    from torch import Tensor

    from classic.networks.hub import ModelIds

Aggregate = Literal["mean", "max"]
#: Queries that are compared at once.
_CHUNK = 64


@dataclass(eq=False, kw_only=True)
class FastFit(TrainedOnSupport):
    """The class whose texts have the tokens that are most like those of the query.

    Attributes:
        steps: optimiser steps; 0 compares the tokens of the encoder as it was published, which is the default since a
            dozen validation episodes of 5 classes showed no gain for thirty times the time.
        temperature: similarities are divided by it.
        aggregate: a class scores the "mean" or the "max" over its documents.
        names: which words of a label count as one more document of its class, as for other learners.
    """

    name = "fastfit"
    steps: int = 0
    lr: float = 1e-5
    temperature: float = 0.07
    aggregate: Aggregate = "mean"
    names: Names = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.names = check_names(self.names)
        require_metric("cosine", self.temperature)
        if self.aggregate not in get_args(Aggregate):
            raise unknown_name("aggregate", self.aggregate, get_args(Aggregate))

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Train on the support and the names, then compare the queries with them."""
        import torch

        require_kind(problem, "classification", self.name)
        documents = with_names(problem, self.names).support
        if not problem.queries:
            return ()
        if not documents:
            return failure(problem, Status.ERROR, f"{self.name} needs a support text, or names of labels").answers
        ids, module = self._fresh(resolve_device(ctx.device))
        column = {label.name: at for at, label in enumerate(problem.labels)}
        classes = np.array([column[str(example.label)] for example in documents])
        texts = [whole_text(example) for example in documents]
        if self.steps:
            with seeded(ctx.seed, problem.id, self.name):
                self._train(module, ids, texts, classes, (ctx.seed, problem.id))
        with torch.inference_mode():
            near = self._near(module, ids, [whole_text(query) for query in problem.queries], texts)
        if not np.isfinite(near).all():
            return failure(problem, Status.ERROR, "training diverged: use a smaller lr").answers
        return [
            Answer(problem.labels[int(row.argmax())].name, scores=tuple(row.tolist()), score_kind="logprob")
            for row in log_softmax(_by_class(near, classes, len(column), self.aggregate), self.temperature)
        ]

    def _train(self, module: Any, ids: ModelIds, texts: list[str], classes: np.ndarray, seed: tuple[Any, ...]) -> None:
        """Pull the documents of a class together, each in two views that dropout makes."""
        import torch

        def loss(rows: np.ndarray) -> Tensor:
            twice = np.concatenate([rows, rows])
            tokens, mask = tokens_of(module, ids, [texts[row] for row in twice])
            same = torch.from_numpy(classes[twice][:, None] == classes[twice][None]).to(mask)
            near = token_similarity(tokens, mask, tokens, mask) / self.temperature
            return contrastive_loss(near, same, torch.ones_like(mask[:, 0]))

        groups = [{"params": [*module.parameters()], "lr": self.lr}]
        train_on_support(module, groups, loss, batches(len(texts), self.steps, self.batch_size, *seed))

    def _near(self, module: Any, ids: ModelIds, queries: list[str], texts: list[str]) -> np.ndarray:
        """(n_query, n_documents) float64."""
        documents = tokens_of(module, ids, texts)
        chunks = [
            token_similarity(*tokens_of(module, ids, queries[at : at + _CHUNK]), *documents)
            for at in range(0, len(queries), _CHUNK)
        ]
        return np.concatenate([chunk.double().cpu().numpy() for chunk in chunks])


def token_similarity(queries: Tensor, query_mask: Tensor, others: Tensor, other_mask: Tensor) -> Tensor:
    """How like every query is to every other text, token by token.

    Args:
        queries: (n_query, length, d). query_mask: (n_query, length) 1 for tokens that exist.
        others: (n, other_length, d). other_mask: (n, other_length).

    Returns:
        (n_query, n) mean over the query's tokens of the greatest cosine with a token of the other; -1 where either
        has no token.
    """
    import torch
    from torch.nn.functional import normalize

    cosines = torch.einsum("qid,njd->qnij", normalize(queries, dim=-1), normalize(others, dim=-1))
    best = cosines.where(other_mask[None, :, None] > 0, -1.0).amax(dim=-1)
    weights = query_mask[:, None]
    mean = (best * weights).sum(dim=-1) / weights.sum(dim=-1).clamp(min=1)
    return mean.where(weights.sum(dim=-1) > 0, -1.0)


def _by_class(near: np.ndarray, classes: np.ndarray, n_way: int, aggregate: Aggregate) -> np.ndarray:
    """(n_query, n_way); a class without documents is out of the question."""
    scores = np.full((len(near), n_way), ABSENT)
    for number in np.unique(classes):
        own = near[:, classes == number]
        scores[:, number] = own.mean(axis=1) if aggregate == "mean" else own.max(axis=1)
    return cast(np.ndarray, scores)
