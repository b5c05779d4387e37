"""Near copies: those that a comparison of all pairs finds."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.copies import near_copies
from fewshot.core.hashing import text_key

pytestmark = pytest.mark.promise(28)


def jaccard(one: str, other: str) -> float:
    first, second = (
        {key[at : at + 5] for at in range(max(1, len(key) - 4))} for key in (text_key(one), text_key(other))
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
