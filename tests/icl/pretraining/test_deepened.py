"""The two layers that are built in: one looks one token back, one finds answers to texts like the present one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from evals.learner import Context
from evals.types import Label, Query, TaskInfo
from icl.metatrain.collation import Encoded, SequenceEncoder
from icl.metatrain.options import Optimization
from icl.metatrain.sequences import Classes, Mixture, draw_sequence
from icl.metatrain.trainer import SequenceTrainer
from icl.metatrain.tuning import trainable
from icl.metatrain.words import lexicon
from icl.models.local import LocalModel
from icl.pretraining.model import Size, deepened, untrained
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


def attention(model: Any, sequence: Encoded, layer: int) -> torch.Tensor:
    """(length, length) of a layer, the mean over its heads."""
    model.set_attn_implementation("eager")
    ids = torch.from_numpy(sequence.ids.astype("int64"))[None]
    with torch.no_grad():
        return model(input_ids=ids, output_attentions=True).attentions[layer][0].mean(dim=0)


def test_a_deepened_model_looks_back_and_finds_answers_to_texts_like_its_own(local: LocalModel) -> None:
    unfamiliar = replace(MIXTURE, words={"random": 1.0, "canonical": 1.0})
    before = [value.clone() for value in local.weights.parameters()]
    model = deepened(local.weights, [each for step in range(20) for each in drawn(local, unfamiliar, step)], 0)
    assert model.config.num_hidden_layers == 4
    assert all(torch.equal(one, other) for one, other in zip(before, local.weights.parameters(), strict=True))
    back, on_answers, own, share = [], [], [], []
    for sequence in drawn(local, unfamiliar, 99):
        back.append(attention(model, sequence, 2).diagonal(-1).mean())
        found, starts = attention(model, sequence, 3), [span.start for span in sequence.answers]
        for at, start in enumerate(starts[3:], 3):
            seen = starts[:at]
            mass = found[start - 1, seen]
            alike = torch.from_numpy(sequence.ids[seen] == sequence.ids[start]).float()
            on_answers.append(mass.sum())
            own.append((mass * alike).sum() / mass.sum())
            share.append(alike.mean())
    assert torch.stack(back).mean() > 0.8
    assert torch.stack(on_answers).mean() > 0.5
    assert torch.stack(own).mean() > torch.stack(share).mean() + 0.1
