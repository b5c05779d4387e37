"""Whether labels mean praise and blame, by their words: Korean and English ones, however they are inflected."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from evals.types import Label

Polarity = Literal["praise", "blame", "neutral"]

_KOREAN: dict[Polarity, str] = {
    "praise": "긍정|좋|만족|추천|강추|호평|호감|호|칭찬|최고|훌륭|재미|재미있|재밌|꿀잼",
    "blame": "부정|나쁘|나쁨|나쁜|나빠|싫|불만|불만족|불호|비추|비추천|비호감|악평|혹평|최악|별로|실망|불평|지루|노잼",
    "neutral": "중립|보통|중간|그저 그렇|그저 그런|그저 그럼",
}
_ENGLISH: dict[Polarity, str] = {
    "praise": "positive|pos|good|great|excellent|best|loved?|liked?|satisf(?:ied|action)|recommend(?:ed)?|favou?rable|"
    "praise|thumbs ?up|👍|😊|😀",
    "blame": "negative|neg|bad|poor|terrible|awful|worst|hated?|disliked?|(?:un|dis)satisf(?:ied|action)|unfavou?rable|"
    "blame|complaint|thumbs ?down|👎|😞|😡",
    "neutral": "neutral|mixed|ok|okay|average|so[- ]so|😐",
}
_OPPOSITE: dict[Polarity, Polarity] = {"praise": "blame", "blame": "praise", "neutral": "neutral"}
_ENDING = (
    "적?(?:은|인|임|한|함|음|됨|다|요|하|해|스러운|스러움|스럽|(?:이|하|스럽)다|(?:아|어|해|네|예|이에|스러워|드려)요|"
    "(?:았|었|했)(?:음|다|어요|습니다)|(?:습|합|입|드립)니다)?"
)
#: Words beside the one that tells: how much, and what is judged.
_BESIDE = re.compile(
    r"\b(?:매우|아주|정말|very|reviews?|sentiments?|feedback|opinions?|comments?|ratings?|label|class)\b|"
    r"(?:리뷰|평가|의견|후기|감정|감성|반응|댓글)\b"
)
_NEGATION = re.compile(r"^(?:안|못|not|don'?t) +|지 ?않\w*$| ?(?:없|아니)\w*$")


def polarity_of(words: str) -> Polarity | None:
    """What the words of a label mean: praise, blame or neither of both; None where they mean something else."""
    text = re.sub(r"[_.,!?:;~()\[\]/]", " ", unicodedata.normalize("NFKC", words).casefold())
    text = " ".join(_BESIDE.sub(" ", text).split())
    plain = _NEGATION.sub("", text)
    for meant in _KOREAN:
        if re.fullmatch(f"(?:{_KOREAN[meant]}){_ENDING}|{_ENGLISH[meant]}", plain):
            return meant if plain == text else _OPPOSITE[meant]
    return None


def praise_and_blame(labels: Sequence[Label]) -> bool:
    """Whether the labels are praise and blame, or these and a neutral one, by their verbalizers or their names."""
    meant = [polarity_of(label.verbalizer) or polarity_of(label.name) for label in labels]
    return sorted(map(str, meant)) in (["blame", "praise"], ["blame", "neutral", "praise"])
