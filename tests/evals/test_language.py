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
        (["Wann kommt mein Paket endlich an?", "Ich kann mich nicht anmelden"], UNKNOWN),
        (["Où est mon colis", "je ne peux pas me connecter"], UNKNOWN),
        (["donde esta mi pedido", "no puedo entrar en la cuenta"], UNKNOWN),
        (["waar is mijn pakket", "ik kan niet inloggen"], UNKNOWN),
        (["Gdzie jest moja paczka", "zapomniałem hasła"], UNKNOWN),
        (["Şifremi unuttum", "kargom nerede kaldı"], UNKNOWN),
        (["di mana paket saya", "saya tidak bisa masuk"], UNKNOWN),
        (["a café near the office", "where is my order", "set an alarm"], "en"),
        (["play jazz", "lights off", "weather tomorrow"], "en"),
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
        "German",
        "French",
        "Spanish",
        "Dutch",
        "Polish",
        "Turkish",
        "Indonesian",
        "English with an accent",
        "English without small words",
    ],
)
def test_script_and_common_words_tell(texts: list[str], language: str) -> None:
    assert guess_language(texts) == language
