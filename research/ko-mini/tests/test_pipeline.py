"""From texts to a packed model on a tiny recipe, and the ability that the curriculum is for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evals.learner import Context
from fewshot.core.errors import ResumeMismatch, UsageError
from icl.models.local import LocalModel
from ko_mini import export as packing
from ko_mini.__main__ import main
from ko_mini.export import MAX_BYTES, card, export
from ko_mini.materials import Corpus, Sides
from ko_mini.model import Size, untrained
from ko_mini.recipe import Recipe, read_recipe
from ko_mini.stages import train
from ko_mini.texts import read_texts


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def made(recipe_file: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, by one command."""
    out = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_DATA", str(data))
        assert main(["--recipe", str(recipe_file), "--data", str(data), "--out", str(out), "--device", "cpu"]) == 0
    return out


def test_the_packed_model_is_small_and_complete(made: Path) -> None:
    names = {path.name for path in (made / "tiny").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "weights.json", "record.json", "README.md"} <= names
    local = LocalModel(str(made / "tiny"), dtype="float32", device="cpu")
    assert local.count_tokens("영화") > 0
    assert json.loads((made / "tiny" / "record.json").read_text())["dtype"] == "bfloat16"


def test_the_card_is_rendered_from_the_record(made: Path) -> None:
    record = json.loads((made / "tiny" / "record.json").read_text())
    text = (made / "tiny" / "README.md").read_text()
    assert text == card(record)
    assert all(f"{row['accuracy']:.3f}" in text for row in record["results"])
    assert {(row["learner"], row["words"]) for row in record["results"]} == {
        ("icl", "canonical"),
        ("icl", "swapped"),
        ("tfidf", "canonical"),
    }
    assert "| reviews | CC0-1.0 | tests | 1 |" in text


def test_every_stage_leaves_its_curve_with_swapped_words(made: Path) -> None:
    for stage in ("1-reviews", "2-mixed"):
        assert "valid_accuracy_swapped" in (made / stage / "curve.csv").read_text()


def test_an_interrupted_training_ends_with_the_same_weights(
    recipe: Recipe, data: Path, made: Path, tmp_path: Path
) -> None:
    texts = read_texts(recipe, data)
    stopped = Context(device="cpu")

    def stop(message: str) -> None:
        if message.startswith("step 2/4"):
            stopped.cancel.set()

    stopped.notify = stop
    with pytest.raises(KeyboardInterrupt):
        train(recipe, texts, tmp_path, stopped)
    assert not (tmp_path / "2-mixed" / "model").exists()
    assert weights(train(recipe, texts, tmp_path, Context(device="cpu"))) == weights(made / "2-mixed" / "model")


def test_stages_of_another_recipe_or_other_texts_are_not_gone_on_with(recipe: Recipe, data: Path, made: Path) -> None:
    texts = read_texts(recipe, data)
    with pytest.raises(ResumeMismatch, match=r"recipe\.seed: 0 -> 1"):
        train(recipe.model_copy(update={"seed": 1}), texts, made, Context(device="cpu"))
    fewer = replace(texts, between=Corpus(texts.between.texts[1:]))
    with pytest.raises(ResumeMismatch, match="texts: "):
        train(recipe, fewer, made, Context(device="cpu"))
    *praise, last = texts.films.praise.texts
    moved = Sides(Corpus(tuple(praise)), Corpus((last, *texts.films.blame.texts)))
    with pytest.raises(ResumeMismatch, match="texts: "):
        train(recipe, replace(texts, films=moved), made, Context(device="cpu"))


def test_the_first_layer_begins_by_looking_back() -> None:
    model = untrained(Size(2, 64, 4, 96, 0, 256), 200, 0)
    model.set_attn_implementation("eager")
    attention = model(input_ids=torch.arange(2, 22)[None], output_attentions=True).attentions[0][0]
    for head in range(4):
        assert attention[head, 15].argmax() == 14 - head


def test_the_shipped_model_fits_into_its_room() -> None:
    size = read_recipe().size
    model = untrained(replace(size, layers=size.layers + 2), size.vocabulary, 0)
    assert 2 * sum(value.numel() for value in model.parameters()) < MAX_BYTES - 2_000_000


def test_a_model_that_is_too_large_is_refused(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_BYTES", 1000)
    with pytest.raises(UsageError, match="more than 1,000: use a smaller size"):
        export(made / "2-mixed" / "model", tmp_path, {})
