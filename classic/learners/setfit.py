"""SetFit: contrastive fine-tuning of a sentence encoder, then logistic regression on its vectors.

Tunstall et al. 2022, arXiv 2209.11055, by its authors' library. Pairs of support texts are pulled together where their
labels agree and pushed apart where they do not; n texts make about n^2 / 2 pairs, so few texts train a lot.

Traps: the library pairs every text with itself too, which teaches nothing: of K shots that is K of K (K + 1) / 2
positive pairs, and with one shot all of them. Its trainer seeds the global generators; they are put back here.
"""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from classic.learners.by_language import LearnerByLanguage
from classic.networks.hub import transformer
from evals.content import whole_text
from evals.learner import Context, failure, require_kind
from evals.types import Answer, Problem, Status
from fewshot.core.devices import resolve_device
from fewshot.core.errors import MissingExtra
from fewshot.core.pretrained import load_sentence_model
from fewshot.core.seeds import seed_of
from fewshot.encoders import TransformerEncoder


@dataclass(eq=False, kw_only=True)
class SetFit(LearnerByLanguage):
    """A sentence encoder fine-tuned on pairs of the support, and a logistic regression on top.

    Attributes:
        encoder: "minilm", "e5-small", a directory, or an id on the Hugging Face hub; "auto" is one of the first two, by
            the language of the texts.
        steps: optimiser steps over pairs, at most.
        batch_size: pairs per step.
        lr: step size for the encoder.
        max_length: tokens per text.
    """

    name = "setfit"
    kinds = ("classification",)
    extra = "setfit"
    steps: int = 60
    batch_size: int = 16
    lr: float = 2e-5
    max_length: int = 64

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Train on the support, then label the queries."""
        require_kind(problem, "classification", self.name)
        if not problem.support:
            return failure(problem, Status.ERROR, f"{self.name} needs at least one support text").answers
        encoder = transformer(self.encoder)
        texts, queries = (
            [encoder.prefix + whole_text(row) for row in rows] for rows in (problem.support, problem.queries)
        )
        column = {label.name: at for at, label in enumerate(problem.labels)}
        classes = [column[str(example.label)] for example in problem.support]
        with _generators_restored():
            model = self._fit(encoder, texts, classes, seed_of(ctx.seed, problem.id, self.name) % 2**31, ctx)
            found = np.asarray(model.predict_proba(queries, as_numpy=True, show_progress_bar=False))
        scores = np.full((len(queries), len(problem.labels)), np.finfo(np.float64).eps)
        scores[:, sorted(set(classes))] = found
        return [
            Answer(problem.labels[int(row.argmax())].name, scores=tuple(np.log(row).tolist()), score_kind="logprob")
            for row in np.maximum(scores, np.finfo(np.float64).eps)
        ]

    def _fit(
        self, encoder: TransformerEncoder, texts: Sequence[str], classes: Sequence[int], seed: int, ctx: Context
    ) -> Any:
        """A model trained on the support."""
        try:
            from datasets import Dataset

            # The checker takes this very file for the library.
            from setfit import SetFitModel, Trainer, TrainingArguments  # pyright: ignore[reportAttributeAccessIssue]
        except ImportError as error:
            raise MissingExtra("learner 'setfit'", "setfit") from error
        from sklearn.linear_model import LogisticRegression

        logging.getLogger("setfit").setLevel(logging.WARNING)
        # Its own loader would unpickle a head that lies beside the encoder.
        body = load_sentence_model(encoder.folder, resolve_device(ctx.device))
        body.max_seq_length = self.max_length
        if encoder.prefix:
            body.default_prompt_name = None  # the same words: the texts carry them already, in training too
        model = SetFitModel(model_body=body, model_head=LogisticRegression())
        with tempfile.TemporaryDirectory() as scratch:
            arguments = TrainingArguments(
                output_dir=scratch,
                batch_size=self.batch_size,
                max_steps=self.steps,
                body_learning_rate=self.lr,
                seed=seed,
                report_to="none",
                save_strategy="no",
                eval_strategy="no",
                logging_strategy="no",
                show_progress_bar=False,
            )
            dataset = Dataset.from_dict({"text": list(texts), "label": list(classes)})
            Trainer(model=model, args=arguments, train_dataset=dataset).train()
        return model


@contextmanager
def _generators_restored() -> Iterator[None]:
    """Leave the global generators of Python, NumPy and torch as they were."""
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
