"""The shipped model: it is what its record says, small, undamaged, and it reads Korean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evals.episode import EpisodeSampler
from evals.learner import Context
from evals.loading import load_task
from fewshot.core.embedded import EMBEDDED, ShippedModel
from fewshot.core.errors import StorageError
from fewshot.core.model_cache import file_sha256
from icl.learner import ICLLearner
from icl.metatrain.words import lexicon, reworded
from icl.models.local import LocalModel
from icl.pretraining.export import MAX_BYTES, card
from icl.pretraining.recipe import read_recipe


@pytest.fixture(scope="module")
def folder() -> Path:
    model = EMBEDDED["ko-mini"]
    assert isinstance(model, ShippedModel)
    return model.folder


def test_it_is_small_and_its_hashes_hold(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
    assert json.loads((folder / "weights.json").read_text()) == {
        "model.safetensors": file_sha256(folder / "model.safetensors")
    }


def test_its_record_is_of_the_recipe_and_its_card_is_of_the_record(folder: Path) -> None:
    record = json.loads((folder / "record.json").read_text())
    assert record["fingerprint"] == read_recipe().fingerprint
    assert (folder / "README.md").read_text() == card(record)
    assert record["parameters"] == EMBEDDED["ko-mini"].parameters
    assert {source["licence"] for source in record["recipe"]["sources"].values()} <= {"CC0-1.0", "CC-BY-4.0"}


def test_a_damaged_file_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "ko-mini")
    weights = copy / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    weights.write_bytes(bytes(damaged))
    with pytest.raises(StorageError, match=r"model\.safetensors"):
        _ = LocalModel(str(copy), dtype="float32", device="cpu").weights


@pytest.mark.parametrize("words", ["canonical", "letters"])
def test_it_tells_praise_from_blame_by_own_words_and_by_letters(words: str) -> None:
    sampler = EpisodeSampler(load_task("sentiment-ko"), 2, 5, 5)
    episodes = [sampler[at] for at in range(10)]
    problems = [reworded(each.problem, words, lexicon()) for each in episodes]  # type: ignore[arg-type]
    learner = ICLLearner(model="ko-mini", dtype="float32", device="cpu")
    predictions = {found.problem_id: found for found in learner.predict(problems, Context(device="cpu"))}
    right = [
        answer.decision == gold
        for problem, each in zip(problems, episodes, strict=True)
        for answer, gold in zip(predictions[problem.id].answers, each.gold, strict=True)
    ]
    assert sum(right) / len(right) > 0.6
