"""The shipped model: it is what its record says, small, undamaged, and it reads Korean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evals.episode import EpisodeSampler
from evals.learner import Context
from evals.task import Task
from evals.types import Example
from fewshot.core.embedded import EMBEDDED, ShippedModel
from fewshot.core.errors import StorageError
from fewshot.core.model_cache import file_sha256
from icl.learner import ICLLearner
from icl.metatrain.words import TestWords, lexicon, reworded
from icl.models.local import LocalModel
from icl.pretraining.export import MAX_BYTES, card
from icl.pretraining.materials import POLARITY, SENTIMENT
from icl.pretraining.recipe import read_recipe

PRAISE = (
    "정말 재미있게 봤어요",
    "최고의 영화입니다",
    "감동적이고 연기도 훌륭해요",
    "또 보고 싶은 영화",
    "배우들 연기가 너무 좋아요",
    "웃고 울면서 봤네요 강추",
    "음악도 영상도 아름다웠다",
    "시간 가는 줄 몰랐어요",
    "기대 이상이에요 추천합니다",
    "오랜만에 명작을 만났다",
)
BLAME = (
    "정말 재미없어요",
    "최악의 영화",
    "돈이 아깝다",
    "지루해서 중간에 나왔어요",
    "연기도 스토리도 엉망",
    "시간 낭비였다",
    "쓰레기 같은 영화",
    "왜 만들었는지 모르겠다",
    "기대했는데 너무 실망",
    "졸려서 혼났네",
)


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


@pytest.mark.parametrize("words", ["canonical", "swapped", "letters"])
def test_it_tells_praise_from_blame_by_whatever_words_the_demonstrations_use(words: TestWords) -> None:
    sides = {"positive": PRAISE, "negative": BLAME}
    rows = tuple(Example(f"{side}{at}", text, side) for side, texts in sides.items() for at, text in enumerate(texts))
    sampler = EpisodeSampler(Task(SENTIMENT, POLARITY, {"all": rows}), 2, 5, 5)
    episodes = [sampler[at] for at in range(6)]
    problems = [reworded(each.problem, words, lexicon()) for each in episodes]
    learner = ICLLearner(model="ko-mini", dtype="float32", device="cpu")
    predictions = {found.problem_id: found for found in learner.predict(problems, Context(device="cpu"))}
    right = [
        answer.decision == gold
        for each in episodes
        for answer, gold in zip(predictions[each.problem.id].answers, each.gold, strict=True)
    ]
    assert sum(right) / len(right) > 0.7
