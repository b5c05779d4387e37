"""Every method of selection against its definition, by brute force on pools that are small enough."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import icl
from evals.types import Example, Query
from fewshot.core.catalog import SELECTORS
from fewshot.core.errors import UsageError
from icl.selectors import Pool
from icl.selectors.bm25 import BM25, tokens
from icl.selectors.dpp import DPP
from icl.selectors.facility import Facility
from icl.selectors.farthest import Farthest
from icl.selectors.knn import KNN
from icl.selectors.mmr import MMR
from icl.selectors.vote_k import VoteK
from tests.icl.test_selectors import NEAR, SPREAD, Letters, brute_force_mmr, ids, pool_of

texts = st.lists(st.text("abcd", min_size=1, max_size=6), min_size=1, max_size=9, unique=True)
sizes = st.integers(1, 10)


def cosines_of(words: Sequence[str]) -> np.ndarray:
    vectors = Letters().encode(words)
    return np.round(vectors @ vectors.T, 5)


def greedy(n: int, m: int, value: Callable[[list[int], int], float]) -> list[int]:
    """Takes what is worth most beside what is taken, ties in order."""
    taken: list[int] = []
    while len(taken) < min(m, n):
        rest = [at for at in range(n) if at not in taken]
        worth = {at: value(taken, at) for at in rest}
        taken.append(max(rest, key=lambda at: (round(worth[at], 3), -at)))
    return taken


@given(texts, sizes)
def test_facility_adds_most_to_what_stands_for_the_pool(words: list[str], m: int) -> None:
    cosines = np.maximum(cosines_of(words), 0)

    def covered(chosen: list[int]) -> float:
        return float(cosines[:, chosen].max(axis=1).sum()) if chosen else 0.0

    expected = greedy(len(words), m, lambda taken, at: covered([*taken, at]) - covered(taken))
    found = [int(example.id[1:]) for example in Facility(Letters()).choose(pool_of(words), m)]
    assert covered(found) == pytest.approx(covered(expected), abs=1e-2)
    best = max(covered(list(some)) for some in combinations(range(len(words)), min(m, len(words))))
    assert covered(found) >= (1 - 1 / math.e) * best - 1e-3


@given(texts, sizes)
def test_farthest_is_far_from_all_that_is_taken(words: list[str], m: int) -> None:
    cosines = cosines_of(words)
    found = [int(example.id[1:]) for example in Farthest(Letters()).choose(pool_of(words), m)]
    to_mean = cosines.mean(axis=0)
    assert to_mean[found[0]] == pytest.approx(to_mean.max(), abs=1e-3)
    for n in range(1, len(found)):
        nearest = cosines[:, found[:n]].max(axis=1)
        rest = [at for at in range(len(words)) if at not in found[:n]]
        assert found[n] == min(rest, key=lambda at: (nearest[at], at))


@given(texts, sizes, st.integers(1, 9), st.sampled_from([2.0, 10.0]))
def test_vote_k_is_its_definition(words: list[str], m: int, neighbours: int, rho: float) -> None:
    cosines = cosines_of(words)
    n = len(words)
    others = [sorted((at for at in range(n) if at != one), key=lambda at: (-cosines[one, at], at)) for one in range(n)]
    chosen = [each[:neighbours] for each in others]

    def votes(taken: list[int], at: int) -> float:
        voters = [one for one in range(n) if one not in taken and at in chosen[one]]
        return sum(rho ** -len(set(chosen[one]) & set(taken)) for one in voters)

    taken: list[int] = []
    while len(taken) < min(m, n):
        rest = [at for at in range(n) if at not in taken]
        taken.append(max(rest, key=lambda at: (round(votes(taken, at), 9), -at)))
    found = VoteK(Letters(), neighbours=neighbours, rho=rho).choose(pool_of(words), m)
    assert [example.id for example in found] == [f"s{at}" for at in taken]


@settings(max_examples=200)
@given(texts, st.text("abcd", min_size=1, max_size=6), st.integers(1, 4), st.sampled_from([0.05, 0.5, 5.0]))
def test_dpp_adds_most_to_the_determinant(words: list[str], query: str, m: int, lambda_: float) -> None:
    words = [word for word in words if word != query]
    if not words:
        return
    vectors, asked = Letters().encode(words).astype(np.float64), Letters().encode([query])[0]
    similar = np.round(vectors @ asked, 5)
    quality = np.exp(similar / (2 * lambda_))
    kernel = quality[:, None] * np.round(vectors @ vectors.T, 5) * quality

    def volume(chosen: Sequence[int]) -> float:
        sign, value = np.linalg.slogdet(kernel[np.ix_(chosen, chosen)])
        return float(value) if sign > 0 else -math.inf

    def spread(chosen: Sequence[int]) -> float:
        return float(np.linalg.svd(vectors[list(chosen)])[1][-1])

    [picks] = DPP(Letters(), lambda_=lambda_).select([Query("q", query)], pool_of(words), m)
    found = [int(pick.example.id[1:]) for pick in picks]
    assert len(found) == min(m, len(words))
    for n in range(1, len(found) + 1):
        ways = [[*found[: n - 1], at] for at in range(len(words)) if at not in found[: n - 1]]
        # What lies nearly within the span of the others has a determinant of rounding errors.
        sharp = [way for way in ways if spread(way) > 0.05]
        if not sharp or spread(found[:n]) <= 0.05:
            return
        assert volume(found[:n]) >= max(map(volume, sharp)) - 0.02


def test_dpp_without_a_query_spans_the_space_and_repeats_nothing_while_it_can() -> None:
    pool = pool_of(["aa", "ab", "aaa", "bb", "cc", "dd"])
    found = [example.text for example in DPP(Letters(), query=False).choose(pool, 4)]
    assert {text[0] for text in found} == {"a", "b", "c", "d"}
    assert len(DPP(Letters(), query=False).choose(pool, 6)) == 6


WORDS = st.lists(st.text("ab가 ", max_size=9), min_size=1, max_size=9)


@given(WORDS, st.text("ab가나 ", max_size=9), st.sampled_from([0.0, 1.5]), st.sampled_from([0.0, 0.75, 1.0]))
def test_bm25_agrees_with_the_library(words: list[str], query: str, k1: float, b: float) -> None:
    bm25s = pytest.importorskip("bm25s")
    pool = pool_of(words)
    corpus = [list(tokens(word)) for word in words]
    asked = list(tokens(query))
    expected = np.zeros(len(words))
    if all(corpus):
        index = bm25s.BM25(k1=k1, b=b, method="lucene")
        index.index(corpus, show_progress=False)
        known = [token for token in asked if token in index.vocab_dict]
        expected = index.get_scores(known) if known else expected
    elif k1 and b:
        return  # the library counts a text without words as one of length 1
    [picks] = BM25(k1=k1, b=b).select([Query("q", query)], pool, len(words))
    scores = {pick.example.id: pick.similarity for pick in picks}
    if all(corpus):
        assert scores == pytest.approx({name: expected[int(name[1:])] for name in scores}, abs=1e-4)
    found = [pick.similarity or 0.0 for pick in picks]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A small, small step", ["a", "small", "small", "step"]),
        ("배송이 늦어요", ["배송", "송이", "늦어", "어요"]),
        ("배", ["배"]),
        ("日本語 OK", ["日本", "本語", "ok"]),
        ("Straße é", ["strasse", "é"]),
        ("...", []),
    ],
)
def test_tokens_of_bm25(text: str, expected: list[str]) -> None:
    assert list(tokens(text)) == expected


@settings(max_examples=100)
@given(texts, st.text("abcd", min_size=1, max_size=6), sizes, st.integers(1, 12), st.booleans())
def test_fetch_is_the_method_among_the_nearest(words: list[str], query: str, m: int, fetch: int, sparse: bool) -> None:
    vectors, asked = Letters().encode(words), Letters().encode([query])[0]
    similar = np.round(vectors @ asked, 5)
    allowed = [at for at in np.argsort(-similar, kind="stable").tolist() if words[at] != query][: max(fetch, m)]
    expected = brute_force_mmr(asked, vectors, m, 0.5, sorted(allowed))
    [picks] = MMR(Letters(sparse), fetch=fetch).select([Query("q", query)], pool_of(words), m)
    assert ids(picks) == [f"s{at}" for at in expected]


def test_a_query_that_is_excluded_by_its_id_alone_leaves_the_shortlist_as_long() -> None:
    pool = pool_of(["ab", "abb", "aab", "cd"])
    [picks] = MMR(Letters(), fetch=2).select([Query("s3", "ab ")], pool, 2)
    assert sorted(ids(picks)) == ["s1", "s2"]


@pytest.mark.promise(95)
@pytest.mark.parametrize("selector", [MMR, DPP], ids=lambda each: each.name)
def test_a_fetch_that_covers_the_pool_changes_nothing(selector: Any) -> None:
    rng = np.random.default_rng(0)
    pool, vectors, asked = pool_of([f"t{at}" for at in range(60)]), rng.normal(size=(60, 8)), rng.normal(size=(5, 8))
    whole, fetched = (
        selector(encoder=(vectors, asked), fetch=fetch).select(["q"] * 5, pool, 7) for fetch in (None, 60)
    )
    assert whole == fetched
    assert whole != selector(encoder=(vectors, asked), fetch=7).select(["q"] * 5, pool, 7)


@pytest.mark.promise(96)
@pytest.mark.parametrize("selector", [*NEAR, *SPREAD], ids=repr)
@given(st.lists(st.sampled_from(["", "0", "b", "c"]), min_size=1, max_size=12), st.integers(0, 14), st.integers(0, 9))
@settings(max_examples=20)
def test_balanced_versions_show_equally_many_until_a_class_runs_out(
    selector: Any, labels: list[str], m: int, seed: int
) -> None:
    pool = pool_of([f"a{'bcd'[at % 3] * (at + 1)}" for at in range(len(labels))], labels)
    even = SELECTORS.build(f"{selector.name}:balanced=true", encoder=Letters())
    [picks] = even.select(["ab"], pool, m, [seed])
    taken, there = Counter(pick.example.label for pick in picks), Counter(labels)
    assert sum(taken.values()) == min(m, len(labels)) - ("ab" in pool.texts and m >= len(labels))
    rounds = max(taken.values(), default=0)
    assert all(taken[label] >= min(there[label] - 1, rounds - 1) for label in there)


def test_a_balanced_version_is_the_method_within_each_class() -> None:
    pool = pool_of(["aab", "aaab", "abbb", "bbb", "bba", "aaaa"], ["x", "x", "x", "y", "y", "y"])
    [picks] = KNN(Letters(), balanced=True).select(["aaa"], pool, 4)
    assert ids(picks) == ["s5", "s1", "s0", "s4"]


class Bare:
    """An encoder as others write them: it has `encode`, and its rows are of any length."""

    def encode(self, texts: list[str]) -> list[list[int]]:
        return [[text.count(letter) for letter in "abcd"] for text in texts]


@pytest.mark.promise(97)
@pytest.mark.parametrize("name", ["knn", "mmr", "dpp", "farthest", "facility", "vote-k"])
def test_vectors_from_anywhere_give_the_same_choice(name: str) -> None:
    words, queries = ["aab", "abb", "bcc", "cdd", "dda", "abc"], ["abcd", "aa"]
    pool, vectors = pool_of(words), np.array(Bare().encode(words))
    build = SELECTORS.entry(name).load()
    expected = build(Letters()).select(queries, pool, 4)
    for given_ in (Letters(True), Bare(), (vectors, np.array(Bare().encode(queries)))):
        assert build(given_).select(queries, pool, 4) == expected
    selector = build(vectors)
    assert selector.describe()["encoder"] == "ndarray"
    if selector.by_query:
        with pytest.raises(UsageError, match="vectors of 2 queries are needed, and none are given"):
            selector.select(queries, pool, 4)
    else:
        assert selector.select(queries, pool, 4) == expected


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        (np.ones((3, 2)), "3 vectors for 2 examples"),
        (np.ones(2), "one row of numbers per text"),
        (np.array([["a"], ["b"]]), "one row of numbers per text"),
        (np.array([[1.0], [np.nan]]), "not finite"),
        ((np.ones((2, 2)), np.ones((3, 2))), "vectors of 1 queries are needed, and 3 are given"),
        (object(), "no method encode"),
        (7, "no method encode"),
    ],
)
def test_vectors_that_cannot_be_used_are_told(encoder: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        KNN(encoder).select(["x"], pool_of(["a", "b"]), 1)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("mmr:fetch=0", "fetch=0 is no number of examples"),
        ("dpp:fetch=all", "fetch=all is no number of examples"),
        ("mmr:fetch=2.5", "fetch=2.5 is no number of examples"),
        ("mmr:lambda=high", "not between 0 and 1"),
        ("dpp:lambda=0", "not above 0"),
        ("dpp:fetch=-1", "fetch=-1"),
        ("vote-k:neighbours=0", "neighbours=0"),
        ("vote-k:rho=1", "rho=1"),
        ("dpp:query=perhaps", "neither true nor false"),
        ("knn:balanced=perhaps", "neither true nor false"),
        ("bm25:balanced=1", "neither true nor false"),
        ("bm25:b=2", "b is between 0 and 1"),
        ("bm25:k1=-1", "k1 is 0 or more"),
    ],
)
def test_parameters_out_of_range_are_told(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        SELECTORS.build(spec)


@pytest.mark.parametrize("name", ["knn", "mmr", "bm25", "dpp", "random:per_query=true"])
def test_a_choice_by_the_query_needs_one(name: str) -> None:
    with pytest.raises(UsageError, match="chooses by the query: give it one"):
        SELECTORS.build(name, encoder=Letters()).choose(pool_of(["a", "b"]), 1)


ROWS: list[Any] = [{"text": "aa", "label": 1}, Example("e", "bb", "y"), {"id": 7, "text": "cc", "source": "web"}]


def test_examples_come_as_mappings_too() -> None:
    pool = Pool(ROWS)
    assert pool.examples == (
        Example("s0", "aa", "1"),
        Example("e", "bb", "y"),
        Example("7", "cc", None, {"source": "web"}),
    )


@pytest.mark.parametrize("row", [{"label": "x"}, {"text": None}, "text", 3, {"text": 5}])
def test_a_row_without_a_text_is_told(row: Any) -> None:
    with pytest.raises(UsageError, match="example 2 has no text"):
        Pool([{"text": "a"}, row])


@pytest.mark.parametrize("query", ["cc", Query("other", "cc"), {"text": "cc", "source": "web"}])
def test_queries_come_as_texts_too_and_are_never_their_own_demonstration(query: Any) -> None:
    rows = [{"text": "aa"}, {"text": "cc"} if not isinstance(query, dict) else query, {"text": "bb"}]
    [picks] = KNN(Letters()).select([query], Pool(rows), 3)
    assert sorted(ids(picks)) == ["s0", "s2"]


def test_the_names_are_at_hand() -> None:
    assert {getattr(icl, name).__name__ for name in icl.__all__} == set(icl.__all__)
    with pytest.raises(AttributeError, match="no attribute 'KNNN'"):
        icl.KNNN  # noqa: B018
