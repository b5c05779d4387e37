"""Cloze questions to a masked language model (PET). Schick and Schuetze, EACL 2021, arXiv 2001.07676.

A pattern puts a mask beside the text ("TEXT Label: [MASK]."), and a label is as probable as its verbalizer at the mask.
The support fine-tunes the model for that question. A verbalizer of several tokens has as many masks; they are filled
one by one, the surest first, and their probabilities multiplied (Schick and Schuetze, NAACL 2021, arXiv 2009.07118),
while in training all are predicted at once.

As against the paper: one pattern, no unlabelled texts that an ensemble of patterns labels, and no loss of the masked
language model beside that of the labels.

Traps: the text is cut, never the pattern; a mask that stands in the text itself is read as letters; the product favours
verbalizers of few tokens, which fine-tuning mends and `normalize=mean` softens; verbalizers that the tokenizer cannot
write, or writes alike, are refused.

No masked language model is embedded, and the accuracy of this depends on the one that is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from classic.learners.published import PublishedModelLearner, without_marks
from classic.learners.support_training import batches, check_training, seeded, train_on_support
from evals.content import whole_text
from evals.learner import Context, failure, require_kind
from evals.types import Answer, Label, Problem, Status
from fewshot.core.errors import ModelUnavailable, UsageError, unknown_name
from fewshot.core.pretrained import load_masked_model
from fewshot.encoders.prototypes import log_softmax

if TYPE_CHECKING:
    from torch import Tensor

Normalization = Literal["sum", "mean"]
#: Numbers in the logits of a forward pass: 256 MB of float32.
_BUDGET = 1 << 26


@dataclass(eq=False, kw_only=True)
class PET(PublishedModelLearner):
    """The label whose verbalizer a masked language model expects.

    Attributes:
        pattern: `{text}` and `{mask}`, and where wanted `{input}` and `{output}`, what the task calls its texts and its
            labels.
        normalize: a verbalizer counts with the "sum" or the "mean" of the log-probabilities of its tokens.
        steps: optimiser steps on the support; 0 asks the model as it was published, and so does a problem without
            support. batch_size: texts per step. lr: step size (AdamW).
    """

    name = "pet"
    wanted = "a masked language model (klue/roberta-base for Korean, FacebookAI/roberta-base for English, ...)"
    pattern: str = "{text} {output}: {mask}."
    normalize: Normalization = "sum"
    steps: int = 60
    batch_size: int = 16
    lr: float = 2e-5
    _published: dict[str, Any] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_training(self.steps, self.batch_size)
        if self.normalize not in get_args(Normalization):
            raise unknown_name("normalization", self.normalize, get_args(Normalization))
        try:
            places = [name for _, name, _, _ in Formatter().parse(self.pattern) if name is not None]
        except ValueError as error:
            raise UsageError(f"pattern {self.pattern!r} cannot be read: {error}") from error
        if sorted(set(places) - {"input", "output"}) != ["mask", "text"] or len(set(places)) != len(places):
            raise UsageError(
                f"pattern {self.pattern!r} must hold {{text}} and {{mask}} once each, and may hold {{input}} and "
                "{output}; there is nothing else to put into it"
            )

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Train on the support, then ask about the queries."""
        import torch

        require_kind(problem, "classification", self.name)
        tokenizer, module = self._ready(ctx)
        if self._published is None:
            self._published = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self._published)
        cloze = _Cloze(tokenizer, module, self.pattern, problem, self.max_length, self.normalize)
        if self.steps and problem.support:
            with seeded(ctx.seed, problem.id, self.name):
                self._train(cloze, problem, ctx)
        with torch.inference_mode():
            scores = np.stack([cloze.scores(whole_text(query)) for query in problem.queries])
        if not np.isfinite(scores).all():
            return failure(problem, Status.ERROR, "scores are not finite: use a smaller lr, or steps=0").answers
        return [
            Answer(problem.labels[int(row.argmax())].name, scores=tuple(row.tolist()), score_kind="logprob")
            for row in log_softmax(scores)
        ]

    def _train(self, cloze: _Cloze, problem: Problem, ctx: Context) -> None:
        import torch

        column = {label.name: at for at, label in enumerate(problem.labels)}
        texts = [whole_text(example) for example in problem.support]
        classes = torch.tensor([column[str(example.label)] for example in problem.support]).to(cloze.module.device)

        def loss(rows: np.ndarray) -> Tensor:
            logits = cloze.at_once([texts[row] for row in rows])
            return torch.nn.functional.cross_entropy(logits, classes[torch.from_numpy(rows).to(classes.device)])

        groups = [{"params": [*cloze.module.parameters()], "lr": self.lr}]
        order = batches(len(texts), self.steps, self.batch_size, ctx.seed, problem.id)
        train_on_support(cloze.module, groups, loss, order)

    def _load(self, folder: Path) -> Any:
        return load_masked_model(folder)


class _Cloze:
    """The question of one problem: texts in, scores of its labels out."""

    def __init__(
        self, tokenizer: Any, module: Any, pattern: str, problem: Problem, max_length: int, normalize: Normalization
    ) -> None:
        if tokenizer.mask_token is None:
            raise ModelUnavailable(f"the tokenizer of {tokenizer.name_or_path} has no mask token")
        self.tokenizer = tokenizer
        self.module = module
        self.words = {"input": problem.task.input_name, "output": problem.task.output_name}
        self.pattern = pattern
        self.pieces = _pieces(tokenizer, problem.labels)
        self.max_length = max_length
        self.share = [1 / len(each) if normalize == "mean" else 1.0 for each in self.pieces]
        for n_masks in sorted(set(map(len, self.pieces))):
            if self._length("", n_masks) >= max_length:
                raise UsageError(f"max_length={max_length} leaves no room for a text beside the pattern")

    def scores(self, text: str) -> np.ndarray:
        """(n_way,) log-probabilities of the verbalizers for one text, the surest token of each filled in first."""
        found = np.zeros(len(self.pieces))
        for n_masks in sorted(set(map(len, self.pieces))):
            own = [at for at, each in enumerate(self.pieces) if len(each) == n_masks]
            ids, masks = self._rows([text], n_masks)
            summed = fill_surest_first(self._log_probabilities, ids, masks, [self.pieces[at] for at in own])
            found[own] = summed.cpu().numpy()
        return found * self.share

    def at_once(self, texts: Sequence[str]) -> Tensor:
        """(len(texts), n_way) the same with all masks predicted at once, which can be differentiated."""
        import torch

        columns: list[Any] = [None] * len(self.pieces)
        for n_masks in sorted(set(map(len, self.pieces))):
            ids, masks = self._rows(texts, n_masks)
            probable = self._log_probabilities(ids, masks)
            for at, pieces in enumerate(self.pieces):
                if len(pieces) == n_masks:
                    own = probable[:, torch.arange(n_masks), torch.tensor(pieces, device=probable.device)]
                    columns[at] = own.sum(dim=-1) * self.share[at]
        return torch.stack(columns, dim=-1)

    def _log_probabilities(self, ids: Tensor, masks: Tensor) -> Tensor:
        """(n, n_masks, vocabulary) at the masks of (n, length) token ids."""
        import torch

        size = max(1, _BUDGET // (ids.shape[1] * self.module.config.vocab_size))
        parts = []
        for rows, places in zip(ids.split(size), masks.split(size), strict=True):
            mask = (rows != self.tokenizer.pad_token_id).long()
            logits = self.module(input_ids=rows, attention_mask=mask).logits
            parts.append(logits[torch.arange(len(rows), device=rows.device)[:, None], places].float().log_softmax(-1))
        return torch.cat(parts)

    def _rows(self, texts: Sequence[str], n_masks: int) -> tuple[Tensor, Tensor]:
        """(n, length) token ids of the questions, and (n, n_masks) where their masks are."""
        asked = [self._cut(without_marks(text, self.tokenizer), n_masks) for text in texts]
        ids = self.tokenizer(asked, padding=True, return_tensors="pt")["input_ids"].to(self.module.device)
        return ids, (ids == self.tokenizer.mask_token_id).nonzero()[:, 1].reshape(len(texts), n_masks)

    def _cut(self, text: str, n_masks: int) -> str:
        """The question with as much of the beginning of the text as there is room for."""
        kept = len(text)
        while (over := self._length(text[:kept], n_masks) - self.max_length) > 0:
            # A token is a character at least; a long text is brought near its place by its share first.
            share = kept * self.max_length // (self.max_length + over)
            kept = max(0, min(kept - 1, share))
        return self._asked(text[:kept], n_masks)

    def _length(self, text: str, n_masks: int) -> int:
        return len(self.tokenizer(self._asked(text, n_masks))["input_ids"])

    def _asked(self, text: str, n_masks: int) -> str:
        return self.pattern.format(text=text, mask=self.tokenizer.mask_token * n_masks, **self.words)


def fill_surest_first(predict: Any, ids: Tensor, masks: Tensor, labels: Sequence[Sequence[int]]) -> Tensor:
    """Log-probabilities of labels in the masks of one text.

    Args:
        predict: (n, length) ids and (n, k) places to (n, k, vocabulary) log-probabilities.
        ids: (1, length) token ids with k masks. masks: (1, k) their places.
        labels: k token ids of each label.

    Returns:
        (n_labels,) float64 sums over the k tokens. Each is read when those that the model was surer of are in place.
    """
    import torch

    pieces = torch.tensor(labels, device=ids.device)
    rows, places = ids.repeat(len(pieces), 1), masks.repeat(len(pieces), 1)
    every = torch.arange(len(pieces), device=ids.device)
    waiting = torch.ones_like(pieces, dtype=torch.bool)
    total = torch.zeros(len(pieces), dtype=torch.float64, device=ids.device)
    for step in range(pieces.shape[1]):
        # Before anything is filled in, the question is the same for all labels.
        probable = predict(rows, places) if step else predict(ids, masks).expand(len(pieces), -1, -1)
        own = probable.gather(2, pieces[..., None])[..., 0].where(waiting, -torch.inf)
        surest = own.argmax(dim=1)
        total += own[every, surest].double()
        waiting[every, surest] = False
        rows[every, places[every, surest]] = pieces[every, surest]
    return total


def _pieces(tokenizer: Any, labels: Sequence[Label]) -> list[tuple[int, ...]]:
    """The tokens of every verbalizer, as they stand after a blank."""
    found: dict[tuple[int, ...], str] = {}
    for label in labels:
        word = without_marks(label.verbalizer, tokenizer).strip()
        ids = tuple(tokenizer(f" {word}", add_special_tokens=False)["input_ids"])
        if not ids or tokenizer.unk_token_id in ids:
            raise UsageError(
                f"the tokenizer of the model cannot write the verbalizer {label.verbalizer!r}: give the label another "
                "in the task card, or take another model"
            )
        if ids in found:
            raise UsageError(
                f"the verbalizers {found[ids]!r} and {label.verbalizer!r} are the same tokens to the model: give one "
                "label another in the task card"
            )
        found[ids] = label.verbalizer
    return [*found]
