"""Near copies: those that a comparison of all pairs finds."""

from __future__ import annotations

import unicodedata
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.copies import near_copies, rough_key

pytestmark = pytest.mark.promise(28)


def jaccard(one: str, other: str) -> float:
    first, second = (
        {key[at : at + 5] for at in range(max(1, len(key) - 4))} for key in (rough_key(one), rough_key(other))
    )
    return len(first & second) / len(first | second)


@given(
    st.lists(st.text("ab ", max_size=12) | st.integers(0, 9).map(lambda n: f"a text of some length {n}"), max_size=12),
    st.sampled_from([0.5, 0.75, 0.9, 1.0]),
)
def test_it_finds_the_pairs_that_all_comparisons_find(texts: list[str], threshold: float) -> None:
    expected = {
        (at, other): jaccard(texts[at], texts[other])
        for at, other in combinations(range(len(texts)), 2)
        if jaccard(texts[at], texts[other]) >= threshold
    }
    found = list(near_copies(texts, threshold))
    assert {(at, other): similarity for at, other, similarity in found} == expected
    assert len(found) == len(expected)


@pytest.mark.promise(99)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("재밌어요ㅠㅠ", "재밌어요ㅠㅠㅠ"),
        ("ㅋㅋ 웃겨", "ㅋㅋㅋㅋㅋ 웃겨"),
        ("최고ㅠㅜㅠㅜ", "최고ㅠㅜ"),
        ("배송이 너무 느려요", "배송이너무느려요"),
        ("환불 해 주세요", "환불해 주세요"),
        ("좋아요!!!", "좋아요!"),
        ("진짜?!?!", "진짜?!"),
        ("좋아요", "좋아요."),
        ("그렇군요…", "그렇군요"),
        ("하하하하 재밌다", "하하 재밌다"),
        ("sooo good", "sooooo good"),
        ("hahaha nice", "haha nice"),
        ("👍👍👍 추천", "👍 추천"),
        ("좋아요~~", "좋아요～"),
        ("별로\u200b예요ㅠㅠ", "별로 예요ㅠㅠ"),
        ("재밌어요ㅠㅠ", unicodedata.normalize("NFD", "재밌어요ㅠ")),
        ("Ｗｏｗ！！", "wow!"),
        ("とても良い。", "とても 良い"),
    ],
)
def test_texts_that_differ_as_writers_vary_are_near_copies(one: str, other: str) -> None:
    assert list(near_copies(["something else", one, other])) == [(1, 2, 1.0)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("좋아요", "싫어요"),
        ("100원 빼 주세요", "1000원 빼 주세요"),
        ("1.5점", "15점"),
        ("size XL", "size XXL"),
        ("!", "?"),
        ("...", "~"),
        ("good :)", "good :("),
        ("😀", "😡"),
        ("환불", "환불 안 돼요"),
    ],
)
def test_texts_of_another_meaning_are_not(one: str, other: str) -> None:
    assert not list(near_copies([one, other]))
