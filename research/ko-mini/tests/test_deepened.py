"""The two layers that are built in: one looks one token back, one finds answers to texts like the present one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from evals.learner import Context
from evals.types import Label, Query, TaskInfo
from fewshot.core.errors import UsageError
from icl.metatrain.collation import Encoded, SequenceEncoder, batches
from icl.metatrain.objective import n_right, token_losses
from icl.metatrain.options import Optimization
from icl.metatrain.sequences import Classes, Mixture, draw_sequence
from icl.metatrain.trainer import SequenceTrainer
from icl.metatrain.tuning import trainable
from icl.metatrain.words import lexicon
from icl.models.base import Prompt
from icl.models.local import LocalModel
from ko_mini.deepening import deepened
from ko_mini.model import Size, untrained
from tests.icl.metatrain.toys import LETTERS, VOCABULARY, WORDS, save_model

LEXICON = lexicon().model_copy(update={"neutral": LETTERS})
MIXTURE = Mixture({"canonical": 1.0}, ("minimal",), way=2, examples=8, instruction=0.0)


class Kinds:
    """Texts of three words: one of the first six means yes, one of the next six no, in 85 of 100 texts."""

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        def text(side: int) -> str:
            said = side if random.rand() < 0.85 else 1 - side
            told = WORDS[6 * said : 6 * said + 6][random.randint(6)]
            return " ".join(random.permutation([told, *random.choice(WORDS[12:], 2)]).tolist())

        columns = tuple(tuple(Query("", text(side)) for _ in range(n)) for side in (0, 1))
        return Classes(TaskInfo("kinds", "en", "classification"), (Label("yes", "yes"), Label("no", "no")), columns)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A model that has learned what single words mean, and has never needed a demonstration."""
    folder = save_model(tmp_path_factory.mktemp("kinds"), untrained(Size(2, 128, 4, 128, 0, 256), len(VOCABULARY), 0))
    local = LocalModel(str(folder), dtype="float32", device="cpu")
    options = Optimization(steps=150, batch=16, lr=3e-3, eval_every=75, precision="float32", keep="last")
    trainer = SequenceTrainer(local.weights, trainable(local.weights, "full", 0, 0), options, Context())
    curve = trainer.fit(lambda step: drawn(local, MIXTURE, step), dict).curve
    assert (curve[-1].accuracy or 0) > 0.75
    return local


def drawn(local: LocalModel, mixture: Mixture, step: int, n: int = 16) -> list[Encoded]:
    encoder = SequenceEncoder(local.tokenizer, 200)
    return [encoder.encode(draw_sequence(Kinds(), mixture, LEXICON, 0, n * step + at)) for at in range(n)]


def accuracy(model: Any, sequences: list[Encoded]) -> float:
    """Of answers among the words of their sequence, as labels are scored."""
    right, n = 0, 0
    for batch in batches(sequences, 4000, with_text=False):
        with torch.no_grad():
            _, predicted = token_losses(model, batch, among_words=True)
        right, n = right + n_right(predicted, batch), n + len(batch.starts)
    return right / n


def test_a_model_of_single_texts_answers_by_demonstrations_as_soon_as_it_is_deepened(local: LocalModel) -> None:
    yes, no = (int(local.tokenizer.ids(Prompt(f" {word}"))[-1]) for word in ("yes", "no"))
    mixed = replace(MIXTURE, words={"random": 1.0, "canonical": 1.0})
    before = [value.clone() for value in local.weights.parameters()]
    model = deepened(local.weights, [each for step in range(20) for each in drawn(local, mixed, step)], (yes, no), 0)
    assert model.config.num_hidden_layers == local.weights.config.num_hidden_layers + 2
    assert all(torch.equal(one, other) for one, other in zip(before, local.weights.parameters(), strict=True))
    unfamiliar = [each for step in (98, 99) for each in drawn(local, replace(MIXTURE, words={"random": 1.0}), step)]
    assert accuracy(model, unfamiliar) > accuracy(local.weights, unfamiliar) + 0.08


def test_words_that_the_model_cannot_tell_apart_are_refused(local: LocalModel) -> None:
    yes = int(local.tokenizer.ids(Prompt(" yes"))[-1])
    with pytest.raises(UsageError, match="begin with the same token"):
        deepened(local.weights, drawn(local, MIXTURE, 0), (yes, yes), 0)


def test_a_model_with_an_odd_number_of_heads_is_refused(local: LocalModel) -> None:
    yes, no = (int(local.tokenizer.ids(Prompt(f" {word}"))[-1]) for word in ("yes", "no"))
    model = untrained(Size(1, 48, 3, 32, 0, 256), len(VOCABULARY), 0)
    with pytest.raises(UsageError, match="the number of heads must be even"):
        deepened(model, drawn(local, MIXTURE, 0), (yes, no), 0)
