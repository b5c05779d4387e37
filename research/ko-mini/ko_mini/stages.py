"""The curriculum: one training after the other, each from the weights that the one before ended with.

A stage has a folder of its own: checkpoint and learning curve while it is trained (`curve.csv` shows accuracy with own,
swapped and unseen words), its model afterwards. What is there is not done again, so the same command goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from evals.episode import EpisodeSampler
from evals.learner import Context
from fewshot.core.differences import differences
from fewshot.core.errors import ResumeMismatch
from fewshot.core.paths import write_atomically
from fewshot.core.pretrained import quiet
from fewshot.core.seeds import random_state, seed_of
from fewshot.training.curves import Point
from icl.learner import ICLLearner
from icl.metatrain.collation import Encoded, SequenceEncoder
from icl.metatrain.sequences import Material, TrainingSequence, draw_sequence
from icl.metatrain.trainer import SequenceTrainer, forget
from icl.metatrain.tuning import trainable
from icl.metatrain.validation import Validation, mean
from icl.metatrain.words import TEST_WORDS, Lexicon, lexicon
from icl.models.base import Prompt
from icl.models.local import LocalModel
from icl.models.weights import HASHES, save_model, write_hashes
from ko_mini.deepening import deepened
from ko_mini.materials import POLARITY, Mixed, Ratings, Variants
from ko_mini.model import untrained
from ko_mini.recipe import Recipe, StageRecipe
from ko_mini.texts import Texts
from ko_mini.tokenizer import train_tokenizer

_START, _MODEL, _PLAN, _IDENTITY = "start", "model", "plan.json", "identity.json"
#: Reviews that the tokenizer is trained on, at most.
_TOKENIZER_TEXTS = 200_000
#: Texts per class that validation episodes show and ask.
_SHOT, _QUERY = 5, 5
#: Sequences that new layers are fitted to.
_SHOWN = 400


def train(recipe: Recipe, texts: Texts, out: Path, ctx: Context, minutes: float | None = None) -> Path:
    """Train a model from nothing, or go on where it was left.

    Args:
        out: where the stages go.
        minutes: for every stage, instead of what the recipe says.

    Returns:
        the folder of the trained model.

    Raises:
        ResumeMismatch: the folder holds a training by another recipe.
        KeyboardInterrupt, BudgetReached: the context said stop; the same call goes on.
    """
    _refuse_another(recipe, texts, out)
    model = _started(recipe, texts, out / _START, ctx)
    for number, stage in enumerate(recipe.stages, 1):
        folder = out / f"{number}-{stage.name}"
        if not (folder / _MODEL / HASHES).is_file():
            ctx.notify(f"stage {number} of {len(recipe.stages)}: {stage.name}")
            _train_stage(recipe, stage, texts, model, folder, ctx, minutes)
        model = folder / _MODEL
    return model


def _refuse_another(recipe: Recipe, texts: Texts, out: Path) -> None:
    """What a folder holds is gone on with only where recipe and texts are those that it was begun with."""
    path = out / _IDENTITY
    given = {"recipe": recipe.model_dump(mode="json", exclude={"test", "card"}), "texts": texts.digest}
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(given, ensure_ascii=False, indent=2) + "\n")
    elif changed := differences(json.loads(path.read_text("utf-8")), given):
        raise ResumeMismatch(f"{out} was begun with another recipe or other texts:\n{changed}\nName another folder")


def sequences(
    stage: StageRecipe, texts: Texts, known: Lexicon, encoder: SequenceEncoder, seed: int
) -> Callable[[int], list[Encoded]]:
    """What each step of a stage learns from."""
    mixture = stage.mixture()
    draw = {kind: _draws(kind, stage, texts) for kind in stage.materials}
    cycle = [kind for kind, count in stage.materials.items() for _ in range(count)]

    def sequence(index: int) -> TrainingSequence:
        return draw_sequence(draw[cycle[index // 2 % len(cycle)]], mixture, known, seed, index)

    return lambda step: [encoder.encode(sequence(i)) for i in range(step * stage.batch, (step + 1) * stage.batch)]


def _draws(kind: str, stage: StageRecipe, texts: Texts) -> Material:
    """The material of a kind, as the stage wants it; English texts come by turns with Korean ones."""
    if kind == "ratings":
        return Ratings(texts.distilled_films(stage.distilled), stage.shortest, blank=stage.blank)
    if kind == "written":
        return Ratings(texts.written, stage.shortest, stage.joined, stage.blank)
    if kind == "tasks":
        return Mixed(texts.labelled)
    corpora = [texts.reviews, texts.reviews, texts.english] if texts.labelled else [texts.reviews]
    return Mixed([Variants(corpus, shortest=stage.shortest) for corpus in corpora])


def _started(recipe: Recipe, texts: Texts, folder: Path, ctx: Context) -> Path:
    """The tokenizer and the untrained weights."""
    if (folder / HASHES).is_file():
        return folder
    ctx.notify("training the tokenizer")
    random, reviews = random_state(recipe.seed, "tokenizer"), texts.reviews
    shown = (*reviews.draw(random, min(len(reviews.texts), _TOKENIZER_TEXTS)), *texts.english.texts)
    size = recipe.size
    tokenizer = train_tokenizer(shown, lexicon().words, size.vocabulary, size.context)
    model = untrained(size, len(tokenizer), seed_of(recipe.seed, "weights"))
    return _written(model, tokenizer, folder)


def _written(model: Any, tokenizer: Any, folder: Path) -> Path:
    tokenizer.save_pretrained(folder)
    with quiet():
        model.save_pretrained(folder)
    write_hashes(folder)
    return folder


def _train_stage(
    recipe: Recipe,
    stage: StageRecipe,
    texts: Texts,
    start: Path,
    folder: Path,
    ctx: Context,
    minutes: float | None,
) -> None:
    seed = seed_of(recipe.seed, stage.name)
    if stage.deepen:
        start = _deepened(recipe, stage, texts, start, folder / _START, seed)
    local = _loaded(start, ctx)
    sampler = EpisodeSampler(texts.valid, 2, _SHOT, _QUERY, recipe.seed)
    episodes = list(sampler.take(recipe.valid_episodes))
    learner = ICLLearner(model=local, calibrate="none")
    validate = Validation(learner, episodes, TEST_WORDS, lexicon(), ctx).accuracies
    weights = local.weights
    if weights.device.type == "cpu":
        weights.set_attn_implementation("eager")  # where texts are short, a seventh quicker there than fused attention
    drawn = sequences(stage, texts, lexicon(), _encoder(recipe, stage, local), seed)
    trainer_of = partial(SequenceTrainer, weights, trainable(weights, "full", 0, seed))
    timer = partial(trainer_of, stage.optimization(1, seed), Context())
    steps = _steps(stage, folder, lambda: timer().seconds_per_step(drawn), minutes)
    if steps:
        trainer = trainer_of(stage.optimization(steps, seed), ctx, folder, {"stage": stage.model_dump(mode="json")})
        point = trainer.fit(drawn, validate).curve[-1]
    else:
        parts = validate()
        point = Point(0, None, None, None, mean(parts.values()), parts=parts)
    write_atomically(folder / "result.json", json.dumps(asdict(point), indent=2) + "\n")
    save_model(local, folder / _MODEL)
    forget(folder)


def _deepened(recipe: Recipe, stage: StageRecipe, texts: Texts, start: Path, folder: Path, seed: int) -> Path:
    """The model with two more layers, fitted to sequences of the stage that it is not trained on."""
    if (folder / HASHES).is_file():
        return folder
    local = _loaded(start, Context(device="cpu"))
    drawn = sequences(stage, texts, lexicon(), _encoder(recipe, stage, local), seed_of(seed, "deepened"))
    shown = [each for step in range(_SHOWN // stage.batch + 1) for each in drawn(step)]
    first = len(local.tokenizer.bos_ids)
    one, other = (int(local.tokenizer.ids(Prompt(f" {label.verbalizer}"))[first]) for label in POLARITY)
    return _written(deepened(local.weights, shown, (one, other), seed), local.fresh_tokenizer(), folder)


def _loaded(folder: Path, ctx: Context) -> LocalModel:
    return LocalModel(str(folder), dtype="float32", device=ctx.device, offline=True)


def _encoder(recipe: Recipe, stage: StageRecipe, local: LocalModel) -> SequenceEncoder:
    return SequenceEncoder(local.tokenizer, min(stage.max_length, recipe.size.context), stage.text_every)


def _steps(stage: StageRecipe, folder: Path, seconds_per_step: Callable[[], float], minutes: float | None) -> int:
    """How many steps a stage takes. What was counted once is kept, so that a resumed training is the same training."""
    path = folder / _PLAN
    if path.is_file():
        return int(json.loads(path.read_text("utf-8"))["steps"])
    steps = stage.steps
    if steps is None or (steps and minutes is not None):
        steps = max(1, int(60 * (minutes or stage.minutes) / seconds_per_step()))
    write_atomically(path, json.dumps({"steps": steps}) + "\n")
    return steps


def curriculum(recipe: Recipe, out: Path) -> list[dict[str, Any]]:
    """What each stage came to, for the record."""
    found = []
    for number, stage in enumerate(recipe.stages, 1):
        folder = out / f"{number}-{stage.name}"
        plan, result = (json.loads((folder / name).read_text("utf-8")) for name in (_PLAN, "result.json"))
        found.append({"stage": stage.name, **plan, "accuracy": result["accuracy"], "valid": result["parts"]})
    return found
