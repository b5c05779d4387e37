"""Selectors against brute force, and the guard that keeps the query out of its own prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.types import Example, Query
from fewshot.core.catalog import SELECTORS
from fewshot.core.errors import UsageError
from icl.selectors import Pool, Selector
from icl.selectors.all import All
from icl.selectors.auto import Auto
from icl.selectors.balanced import Balanced
from icl.selectors.bm25 import BM25
from icl.selectors.dpp import DPP
from icl.selectors.facility import Facility
from icl.selectors.farthest import Farthest
from icl.selectors.knn import KNN
from icl.selectors.mmr import MMR
from icl.selectors.random import Random
from icl.selectors.vote_k import VoteK


@dataclass(frozen=True)
class Letters:
    """Encodes a text as its normalised letter counts, dense or sparse."""

    sparse: bool = False
    name: str = "letters"
    expensive = False
    fingerprint = "letters"

    def fit(self, texts: Sequence[str]) -> Letters:
        return self

    def encode(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_array

        counts = np.array([[text.count(letter) for letter in "abcd"] for text in texts], np.float32).reshape(-1, 4)
        norms = np.linalg.norm(counts, axis=1, keepdims=True)
        vectors = counts / np.where(norms == 0, 1, norms)
        return csr_array(vectors) if self.sparse else vectors

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


def pool_of(texts: Sequence[str], labels: Sequence[str] | None = None) -> Pool:
    labels = labels or ["x"] * len(texts)
    return Pool(tuple(Example(f"s{at}", text, labels[at]) for at, text in enumerate(texts)))


def ids(picks: list) -> list[str]:
    return [pick.example.id for pick in picks]


SPREAD = [Farthest(Letters()), Facility(Letters()), VoteK(Letters()), DPP(Letters(), query=False)]
NEAR = [KNN(Letters()), KNN(Letters(True)), MMR(Letters()), MMR(Letters(True), fetch=3), DPP(Letters()), BM25()]
EVERY = [
    *(All(), Auto(), Random(), Random(per_query=True), Balanced()),
    *NEAR,
    *SPREAD,
    *(replace(each, balanced=True) for each in (*NEAR, *SPREAD)),
]
texts = st.lists(st.text("abcd", min_size=1, max_size=6), min_size=1, max_size=12, unique=True)


def brute_force_mmr(query: np.ndarray, vectors: np.ndarray, m: int, lambda_: float, allowed: list[int]) -> list[int]:
    """The definition, word for word."""
    cosine = np.round(vectors @ vectors.T, 5)
    to_query = np.round(vectors @ query, 5)
    taken: list[int] = []
    while len(taken) < min(m, len(allowed)):
        rest = [at for at in allowed if at not in taken]
        value = {
            at: lambda_ * float(to_query[at]) - (1 - lambda_) * max((float(cosine[at, s]) for s in taken), default=0.0)
            for at in rest
        }
        taken.append(max(rest, key=lambda at: (value[at], -at)))
    return taken


@given(texts, st.text("abcd", min_size=1, max_size=6), st.integers(0, 14), st.booleans())
def test_knn_is_the_sorted_pool(pool_texts: list[str], query: str, m: int, sparse: bool) -> None:
    encoder = Letters(sparse)
    cosines = np.round(Letters().encode(pool_texts) @ Letters().encode([query])[0], 5)
    expected = [at for at in np.argsort(-cosines, kind="stable").tolist() if pool_texts[at] != query][:m]
    [picks] = KNN(encoder).select([Query("q", query)], pool_of(pool_texts), m)
    assert ids(picks) == [f"s{at}" for at in expected]
    assert [pick.similarity for pick in picks] == pytest.approx([float(cosines[at]) for at in expected], abs=1e-4)


@settings(max_examples=200)
@given(texts, st.text("abcd", min_size=1, max_size=6), st.integers(0, 14), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_mmr_is_its_definition(pool_texts: list[str], query: str, m: int, lambda_: float) -> None:
    vectors, asked = Letters().encode(pool_texts), Letters().encode([query])[0]
    allowed = [at for at, text in enumerate(pool_texts) if text != query]
    expected = brute_force_mmr(asked, vectors, m, lambda_, allowed)
    [picks] = MMR(Letters(), lambda_=lambda_).select([Query("q", query)], pool_of(pool_texts), m)
    assert ids(picks) == [f"s{at}" for at in expected]


@given(texts, st.text("abcd", min_size=1, max_size=6))
def test_mmr_with_lambda_1_is_knn(pool_texts: list[str], query: str) -> None:
    pool, asked = pool_of(pool_texts), [Query("q", query)]
    assert MMR(Letters(), lambda_=1.0).select(asked, pool, 5) == KNN(Letters()).select(asked, pool, 5)


def test_mmr_prefers_what_is_new() -> None:
    pool = pool_of(["aaab", "aaba", "aacc"])
    [near] = KNN(Letters()).select([Query("q", "aaa")], pool, 2)
    [varied] = MMR(Letters(), lambda_=0.5).select([Query("q", "aaa")], pool, 2)
    assert (ids(near), ids(varied)) == (["s0", "s1"], ["s0", "s2"])


@given(st.lists(st.sampled_from(["", "0", "b", "c"]), min_size=1, max_size=20), st.integers(0, 25), st.integers())
def test_balanced_counts_differ_by_one_until_a_class_runs_out(labels: list[str], m: int, seed: int) -> None:
    pool = pool_of([f"text {at}" for at in range(len(labels))], labels)
    [picks] = Balanced().select([Query("q", "other")], pool, m, [seed])
    taken, there = Counter(pick.example.label for pick in picks), Counter(labels)
    assert sum(taken.values()) == min(m, len(labels))
    rounds = max(taken.values(), default=0)
    assert all(taken[label] >= min(there[label], rounds - 1) for label in there)


@pytest.mark.promise(28)
@pytest.mark.parametrize("selector", EVERY, ids=repr)
@pytest.mark.parametrize(
    "query",
    [Query("s1", "dd"), Query("q0", "ABBA"), Query("q0", " abba  "), Query("q0", "ＡＢＢＡ"), Query("q0", "abab")],
    ids=["id", "case", "space", "width", "other-text"],
)
def test_pitfall_16_the_query_is_never_its_own_demonstration(selector: Selector, query: Query) -> None:
    pool = pool_of(["aaa", "abba", "bbb", "ccc"])
    [picks] = selector.select([query], pool, 4, [0])
    excluded = query.text != "abab"
    assert ("s1" in ids(picks)) is not excluded
    assert len(picks) == 4 - excluded


@pytest.mark.parametrize("selector", EVERY, ids=repr)
def test_pitfall_15_choices_do_not_depend_on_the_other_queries(selector: Selector) -> None:
    pool = pool_of(["aab", "abb", "bcc", "cdd", "dda", "abc", "bcd"])
    asked = [Query(f"q{at}", text) for at, text in enumerate(["abcd", "dcb", "aa", "bb", "ca"])]
    together = selector.select(asked, pool, 7, [3])
    apart = [selector.select([query], pool, 7, [3])[0] for query in reversed(asked)]
    assert together == apart[::-1]


@pytest.mark.parametrize(("per_query", "distinct"), [(False, 1), (True, 4)])
def test_random_shares_one_draw_unless_told(per_query: bool, distinct: int) -> None:
    pool = pool_of([f"t{at}" for at in range(50)])
    asked = [Query("q", text) for text in "abcd"]
    picked = Random(per_query=per_query).select(asked, pool, 5, [0])
    assert len({tuple(ids(picks)) for picks in picked}) == distinct
    assert Random().select(asked[:1], pool, 5, [1]) != Random().select(asked[:1], pool, 5, [0])


@pytest.mark.parametrize(
    ("spec", "m", "says"),
    [
        ("all", 2, "use --selector balanced"),
        ("random", -1, "negative"),
        ("mmr:lambda=2", 1, "between 0 and 1"),
        ("mnr", 1, "Did you mean 'mmr'"),
    ],
)
def test_impossible_requests(spec: str, m: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        SELECTORS.build(spec).select([Query("q", "x")], pool_of(["a", "b", "c"]), m)


@pytest.mark.parametrize("selector", EVERY, ids=repr)
def test_empty_pool_and_no_demonstrations(selector: Selector) -> None:
    assert selector.select([Query("q", "x")], Pool(()), 5) == [[]]
    assert selector.select([Query("q", "x")], pool_of(["a", "b"]), 0) == [[]]


def test_specs_reach_parameters() -> None:
    assert SELECTORS.build("mmr:lambda=0.7,encoder=(lexical:words=false)").lambda_ == 0.7
    assert SELECTORS.build("knn", encoder="minilm").describe()["encoder"] == "minilm"


@pytest.mark.promise(94)
@pytest.mark.parametrize(
    ("language", "texts", "encoder"),
    [
        ("en", ["배송이 늦어요"], "minilm"),
        ("ko", ["my card is lost"], "e5-small"),
        ("fr", ["ma carte"], "e5-small"),
        ("und", ["my card is lost"], "minilm"),
        ("und", ["배송이 늦어요", "카드 분실"], "e5-small"),
        ("und", ["Γεια σου"], "e5-small"),
    ],
)
@pytest.mark.parametrize("selector", ["knn", "mmr"])
def test_the_encoder_suits_the_language_of_the_pool(
    selector: str, language: str, texts: list[str], encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(spec: object, **_: object) -> Letters:
        built.append(str(spec))
        return Letters()

    monkeypatch.setattr("icl.selectors.similarity.build_encoder", build)
    pool = Pool(pool_of(texts).examples, language)
    chosen = SELECTORS.build(selector)
    chosen.select([Query("q", "a card")], pool, 1)
    assert built == [encoder]
    (note,) = chosen.notes(pool)
    assert note.startswith(f"encoder {encoder}: ")
    assert SELECTORS.build(f"{selector}:encoder=lexical").notes(pool) == ()


def test_what_an_encoder_takes_is_kept_whichever_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(
        "icl.selectors.similarity.build_encoder", lambda spec, **_: built.append(str(spec)) or Letters()
    )
    SELECTORS.build("knn:encoder=(auto:batch_size=4)").encode(Pool(pool_of(["안녕"]).examples))
    assert built == ["e5-small:batch_size=4"]


def test_pairs_are_compared_by_both_texts() -> None:
    pairs = {"one": "a dog sleeps well", "two": "rain falls all day", "three": "cheap noodles"}
    pool = Pool(tuple(Example(name, "the same text", name, {"text_pair": text}) for name, text in pairs.items()))
    for name, text in pairs.items():
        query = Query("q", "the same text", {"text_pair": f"{text} today"})
        ((found,),) = KNN("lexical").select([query], pool, 1)
        assert found.example.id == name
