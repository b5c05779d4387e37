"""The shipped model: small, undamaged, and it reads Korean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evals.episode import EpisodeSampler
from evals.learner import Context
from evals.task import Task
from evals.types import Example, Label, TaskInfo
from fewshot.core.embedded import EMBEDDED, ShippedModel
from fewshot.core.errors import StorageError
from fewshot.core.model_cache import file_sha256
from icl.learner import ICLLearner
from icl.metatrain.words import TestWords, lexicon, reworded
from icl.models.local import LocalModel

MAX_BYTES = 20_000_000

REVIEWS = TaskInfo(
    "reviews",
    "ko",
    "classification",
    "다음 리뷰의 감정이 긍정인지 부정인지 판단하세요.",
    input_name="리뷰",
    output_name="감정",
)
POLARITY = (Label("positive", "긍정"), Label("negative", "부정"))

#: None of them is a text that the model was trained on.
PRAISE = (
    "친구랑 봤는데 둘 다 정말 재미있게 봤답니다",
    "올해 본 것 중에 최고의 작품이라고 말하고 싶네요",
    "감동적이면서 배우들 연기까지 훌륭했어요",
    "다음 주에 부모님 모시고 또 보러 갈 영화",
    "주연도 조연도 연기가 너무 좋아서 놀랐어요",
    "실컷 웃고 펑펑 울었네요 모두에게 강추",
    "음악도 화면도 참 아름다운 영화였다",
    "두 시간 반이 어떻게 갔는지 모를 만큼 재밌다",
    "큰 기대 없이 봤는데 기대 이상이라 추천합니다",
    "정말 오래간만에 제대로 된 명작을 만난 기분",
)
BLAME = (
    "친구랑 봤는데 둘 다 정말 재미없다고 했어요",
    "올해 본 것 중에 최악의 영화라고 말하고 싶네요",
    "표 값이 아깝고 팝콘 값은 더 아깝다",
    "너무 지루해서 반도 못 보고 그냥 나왔어요",
    "연기도 대본도 편집도 하나같이 엉망",
    "주말 저녁을 버린 시간 낭비였다",
    "이런 쓰레기를 돈 받고 상영하다니",
    "대체 무슨 생각으로 만들었는지 모르겠다",
    "예고편에 속아서 갔다가 크게 실망했네",
    "하도 졸려서 옆 사람 어깨에 기대어 잤네",
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
    sampler = EpisodeSampler(Task(REVIEWS, POLARITY, {"all": rows}), 2, 5, 5)
    episodes = [sampler[at] for at in range(6)]
    problems = [reworded(each.problem, words, lexicon()) for each in episodes]
    learner = ICLLearner(model="ko-mini", dtype="float32", device="cpu")
    predictions = {found.problem_id: found for found in learner.predict(problems, Context(device="cpu"))}
    right = [
        answer.decision == gold
        for each in episodes
        for answer, gold in zip(predictions[each.problem.id].answers, each.gold, strict=True)
    ]
    assert sum(right) / len(right) > 0.65
