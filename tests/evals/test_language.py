"""The language of texts that no card tells."""

from __future__ import annotations

import pytest

from evals.language import UNKNOWN, guess_language


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["정말 재미있는 영화였어요"], "ko"),
        (["a lovely film", "warm and funny"], "en"),
        (["GPT 모델이 API 서버에서 응답하지 않아요"], "ko"),
        (["the word 정 alone in an English text of some length"], "en"),
        (["ㅋㅋㅋㅋㅋㅋ 굿"], "ko"),
        (["ㅠㅠㅠㅠ"], "ko"),
        (["とても面白い映画でした"], UNKNOWN),
        (["12:30", "!?"], "en"),
        ([], "en"),
    ],
    ids=[
        "Korean",
        "English",
        "Latin names",
        "one syllable",
        "laughter",
        "tears",
        "Japanese",
        "no letters",
        "nothing",
    ],
)
def test_the_script_tells(texts: list[str], language: str) -> None:
    assert guess_language(texts) == language
