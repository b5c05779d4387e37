"""Which embedded model is taken, by language and labels; and which labels are praise and blame."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import pytest

from evals.types import Label
from icl.models.auto import Specialty, choose_model, praise_and_blame, why_unsuited


def labels(*words: str) -> list[Label]:
    return [Label(f"c{at}", each) for at, each in enumerate(words)]


def is_weather(given: Sequence[Label]) -> bool:
    return all(label.verbalizer in ("rain", "snow") for label in given)


PREFERRED = {
    "haneul": Specialty(("ko", "ja"), is_weather, "knows the weather alone"),
    "nuri": Specialty(("ko",), is_weather, "knows the weather alone"),
}
WEATHER, DRINKS = labels("rain", "snow"), labels("coffee", "tea")


@pytest.mark.parametrize(
    ("language", "given", "present", "model", "reason"),
    [
        ("ko", WEATHER, {"haneul", "nuri"}, "haneul", "model haneul: made for ko"),
        ("ko-KR", WEATHER, {"nuri"}, "nuri", "model nuri: made for ko-KR"),
        ("ko", WEATHER, set(), "smollm2", "haneul is made for ko, but its weights are not here"),
        (
            "ko",
            DRINKS,
            {"haneul", "nuri"},
            "smollm2",
            "haneul knows the weather alone; the labels here mean something else",
        ),
        ("en", WEATHER, {"haneul", "nuri"}, "smollm2", "no other model here is made for en"),
        ("und", WEATHER, {"haneul"}, "smollm2", "no other model here is made for a language that is not known"),
    ],
    ids=["the first suited", "the one that is here", "none is here", "other labels", "other language", "unknown"],
)
def test_the_model_follows_language_labels_and_what_is_here(language, given, present, model, reason) -> None:
    choice = choose_model(language, given, present.__contains__, PREFERRED)
    assert choice.model == model
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("language", "way_out"), [("en", False), ("en-GB", False), ("und", True), ("fr", True), ("ja", True)]
)
def test_a_way_out_is_told_where_the_model_does_not_read_the_language(language: str, way_out: bool) -> None:
    reason = choose_model(language, DRINKS).reason
    assert ("--model hf:" in reason) is way_out
    assert ("fewshot classic run -a prototypes" in reason) is way_out


def test_training_is_not_advised_in_a_language_that_no_encoder_reads() -> None:
    reason = choose_model("tlh", DRINKS).reason
    assert "--model hf:" in reason
    assert "classic run" not in reason


@pytest.mark.promise(89)
@pytest.mark.parametrize(
    "words",
    [
        ("긍정", "부정"),
        ("긍정적", "부정적"),
        ("좋다", "나쁘다"),
        ("좋아요", "싫어요"),
        ("좋음", "별로예요"),
        ("만족", "불만족"),
        ("만족해요", "불만이에요"),
        ("추천", "비추천"),
        ("강추", "비추"),
        ("호평", "악평"),
        ("호", "불호"),
        ("칭찬", "불만"),
        ("재미있음", "재미없음"),
        ("좋음", "좋지 않음"),
        ("positive", "negative"),
        ("POS", "neg"),
        ("good", "bad"),
        ("like", "dislike"),
        ("positive_review", "negative_review"),
        ("👍", "👎"),
        ("긍정", "중립", "부정"),
        ("부정", "긍정 리뷰", "보통이다"),
        (unicodedata.normalize("NFD", "긍정"), "부정"),
    ],
    ids=str,
)
def test_praise_and_blame_are_known_by_their_words(words: tuple[str, ...]) -> None:
    assert praise_and_blame(labels(*words))
    assert why_unsuited("ko-mini", "ko", labels(*words)) is None


@pytest.mark.promise(89)
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("긍정",),
        ("긍정", "좋다"),
        ("긍정", "중립"),
        ("긍정", "부정", "배송"),
        ("매우 긍정", "긍정", "부정"),
        ("배송", "환불"),
        ("배송 불만", "품질 불만"),
        ("부정맥", "정상"),
        ("부정행위", "추천인 코드"),
        ("만족도 조사", "불만 접수"),
        ("찬성", "반대"),
        ("0", "1"),
        ("good morning", "bad request"),
        ("post", "negotiation"),
    ],
    ids=str,
)
def test_other_labels_are_none(words: tuple[str, ...]) -> None:
    assert not praise_and_blame(labels(*words))
    assert "ko-mini tells praise from blame" in str(why_unsuited("ko-mini", "ko", labels(*words)))


def test_the_names_tell_where_verbalizers_do_not() -> None:
    assert praise_and_blame([Label("positive", "가"), Label("negative", "나")])


@pytest.mark.parametrize(
    ("model", "language", "why"),
    [
        ("smollm2", "ko", "smollm2 was made for en, and the texts are in ko"),
        ("smollm2", "en", None),
        ("smollm2", "und", None),
        ("ko-mini", "en", "ko-mini was made for ko, and the texts are in en"),
        ("gemma3", "ko", None),
        ("hf:someone/something", "ko", None),
    ],
)
def test_why_a_model_is_not_for_a_language(model: str, language: str, why: str | None) -> None:
    assert why_unsuited(model, language, labels("긍정", "부정")) == why
