"""The trainer: it resumes bit by bit, stops when it should, and leaves an ordinary model behind."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evals.learner import Context
from fewshot.core.errors import FewshotError, ResumeMismatch, UsageError
from fewshot.training.checkpoint import fingerprint
from icl.metatrain.collation import Encoded, SequenceEncoder
from icl.metatrain.options import Optimization
from icl.metatrain.sequences import Mixture, draw_sequence
from icl.metatrain.trainer import SequenceTrainer
from icl.metatrain.tuning import merge, trainable
from icl.metatrain.words import lexicon
from icl.models.local import LocalModel
from tests.icl.metatrain.toys import LETTERS, Texts

OPTIONS = Optimization(steps=12, batch=4, lr=1e-2, warmup=2, eval_every=4, precision="float32", text_weight=0.1)
LEXICON = lexicon().model_copy(update={"neutral": LETTERS})
MIXTURE = Mixture({"random": 1.0}, ("minimal",), way=3, examples=6, instruction=0.0)


class Interrupted:
    """A training that is interrupted after some steps."""

    def __init__(self, local: LocalModel, after: int | None = None) -> None:
        self.encoder = SequenceEncoder(local.tokenizer, 200)
        self.cancel = threading.Event()
        self.after = after

    def __call__(self, step: int) -> list[Encoded]:
        if self.after is not None and step + 1 >= self.after:
            self.cancel.set()
        return [self.encoder.encode(draw_sequence(Texts(), MIXTURE, LEXICON, 0, 4 * step + at)) for at in range(4)]


def trained(toy: Path, folder: Path | None, *, after: int | None = None, options: Optimization = OPTIONS, tune="full"):
    local = LocalModel(str(toy), dtype="float32", device="cpu")
    source = Interrupted(local, after)
    parameters = trainable(local.weights, tune, 4, 0)
    trainer = SequenceTrainer(local.weights, parameters, options, Context(cancel=source.cancel), folder)
    progress = trainer.fit(source, lambda: {"canonical": 0.5})
    return local.weights, progress


@pytest.mark.parametrize("tune", ["full", "lora", "last:1"])
@pytest.mark.parametrize("after", [3, 8], ids=["between evaluations", "at one"])
def test_an_interrupted_training_goes_on_bit_by_bit(toy: Path, tmp_path: Path, tune: str, after: int) -> None:
    whole, straight = trained(toy, tmp_path / "straight", tune=tune)
    with pytest.raises(KeyboardInterrupt):
        trained(toy, tmp_path / "resumed", after=after, tune=tune)
    again, resumed = trained(toy, tmp_path / "resumed", tune=tune)
    assert fingerprint(dict(whole.named_parameters())) == fingerprint(dict(again.named_parameters()))
    assert straight.curve == resumed.curve
    assert [point.step for point in resumed.curve] == [0, 4, 8, 12]


def test_a_training_of_another_kind_is_not_continued(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(toy, tmp_path, after=2)
    with pytest.raises(ResumeMismatch, match=r"options.lr: 0.01 -> 0.02"):
        trained(toy, tmp_path, options=replace(OPTIONS, lr=0.02))


def test_the_best_weights_are_kept_or_the_last(toy: Path) -> None:
    """Validation finds nothing better than the start, so the best weights are those that it began with."""
    start = LocalModel(str(toy), dtype="float32", device="cpu").weights
    best, _ = trained(toy, None)
    last, _ = trained(toy, None, options=replace(OPTIONS, keep="last"))
    assert fingerprint(dict(best.named_parameters())) == fingerprint(dict(start.named_parameters()))
    assert fingerprint(dict(last.named_parameters())) != fingerprint(dict(start.named_parameters()))


def test_low_rank_training_moves_nothing_else_and_merges_into_an_ordinary_model(toy: Path) -> None:
    start = dict(LocalModel(str(toy), dtype="float32", device="cpu").weights.named_parameters())
    model, _ = trained(toy, None, tune="lora", options=replace(OPTIONS, keep="last"))
    ids = torch.arange(10)[None]
    before = model(input_ids=ids).logits
    merge(model)
    after = dict(model.named_parameters())
    assert after.keys() == start.keys()
    assert torch.equal(after["model.embed_tokens.weight"], start["model.embed_tokens.weight"])
    assert not torch.equal(after["model.layers.0.mlp.up_proj.weight"], start["model.layers.0.mlp.up_proj.weight"])
    assert torch.allclose(model(input_ids=ids).logits, before, atol=1e-5)


def test_the_last_layers_alone(toy: Path) -> None:
    model = LocalModel(str(toy), dtype="float32", device="cpu").weights
    assert all(name.startswith("model.layers.1.") for name in trainable(model, "last:1", 4, 0))


@pytest.mark.parametrize("tune", ["half", "last:0", "last:9", "last:x"])
def test_unknown_ways_of_tuning_are_refused(toy: Path, tune: str) -> None:
    with pytest.raises(UsageError, match=r"unknown way of tuning|names no number of layers"):
        trainable(LocalModel(str(toy), dtype="float32", device="cpu").weights, tune, 4, 0)


def test_training_stops_at_its_goal_and_when_patience_is_over(toy: Path) -> None:
    _, progress = trained(toy, None, options=replace(OPTIONS, goal=0.0))
    assert progress.step == 4
    _, progress = trained(toy, None, options=replace(OPTIONS, patience=2))
    assert progress.step == 8


def test_divergence_is_told(toy: Path) -> None:
    with pytest.raises(FewshotError, match="training diverges"):
        trained(toy, None, options=replace(OPTIONS, lr=1e30))


def test_texts_that_do_not_fit_are_told(toy: Path) -> None:
    local = LocalModel(str(toy), dtype="float32", device="cpu")
    source = Interrupted(local)
    source.encoder = SequenceEncoder(local.tokenizer, 3)
    trainer = SequenceTrainer(local.weights, trainable(local.weights, "full", 4, 0), OPTIONS, Context())
    with pytest.raises(UsageError, match="no example of a training step can be answered"):
        trainer.fit(source, dict)


def test_timing_takes_no_step(toy: Path) -> None:
    local = LocalModel(str(toy), dtype="float32", device="cpu")
    before = fingerprint(dict(local.weights.named_parameters()))
    trainer = SequenceTrainer(local.weights, trainable(local.weights, "full", 4, 0), OPTIONS, Context())
    assert trainer.seconds_per_step(Interrupted(local)) > 0
    assert fingerprint(dict(local.weights.named_parameters())) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 0}, "steps 0 is too small"), ({"batch": 3}, "come in pairs"), ({"keep": "all"}, "unknown weights")],
    ids=["no steps", "odd batch", "unknown weights"],
)
def test_options_are_checked(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(OPTIONS, **change)
