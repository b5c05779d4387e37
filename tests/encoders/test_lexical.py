"""The lexical encoder agrees with scikit-learn's TF-IDF and keeps an open vocabulary."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.pipeline import FeatureUnion, make_pipeline

from fewshot.core.errors import UsageError
from fewshot.encoders import Lexical

CORPUS = [
    "How do I locate my card?",
    "My new card has not arrived yet, where is it",
    "배송이 너무 늦어서 환불하고 싶어요",
    "배송 빠르고 좋아요 좋아요",
    "STRASSE and Straße",
    "top up failed - twice",
]
QUERIES = ["where is my card", "배송이 늦어요", "card card card", "..."]

any_text = st.text(max_size=40)


def sklearn_tfidf(words: bool, chars: tuple[int, int] | None):
    """The same features from scikit-learn: one TF-IDF over the union of the two vocabularies."""
    parts = []
    if words:
        parts.append(("words", CountVectorizer(token_pattern=r"\w+", lowercase=False, preprocessor=str.casefold)))
    if chars:
        # Punctuation would stand inside char_wb's words; the encoder's words are letters and digits.
        plain = {"preprocessor": lambda text: "".join(c if c.isalnum() else " " for c in text.casefold())}
        parts.append(("chars", CountVectorizer(analyzer="char_wb", ngram_range=chars, **plain)))
    return make_pipeline(FeatureUnion(parts), TfidfTransformer(sublinear_tf=True, smooth_idf=True))


@pytest.mark.parametrize(
    ("params", "words", "chars"),
    [
        pytest.param({}, True, (2, 4), id="default"),
        pytest.param({"max_chars": 0}, True, None, id="words"),
        pytest.param({"words": False, "min_chars": 2, "max_chars": 3}, False, (2, 3), id="characters"),
    ],
)
def test_similarities_are_those_of_scikit_learn(params, words, chars):
    # scikit-learn ignores what it did not see in fit, so it is shown the queries too.
    encoder = Lexical(**params).fit(CORPUS + QUERIES)
    oracle = sklearn_tfidf(words, chars).fit(CORPUS + QUERIES)
    ours = (encoder.encode(QUERIES) @ encoder.encode(CORPUS).T).toarray()
    theirs = (oracle.transform(QUERIES) @ oracle.transform(CORPUS).T).toarray()
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


@given(st.lists(any_text, min_size=1, max_size=6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_rows_have_length_one_or_are_empty(texts, fitted):
    encoder = Lexical().fit(CORPUS) if fitted else Lexical()
    vectors = encoder.encode(texts)
    assert vectors.dtype == np.float32
    lengths = np.sqrt((vectors.multiply(vectors)).sum(axis=1))
    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))


@given(st.permutations(CORPUS))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_corpus_does_not_matter(corpus):
    one, other = Lexical().fit(CORPUS), Lexical().fit(corpus)
    assert one.fingerprint == other.fingerprint
    assert (one.encode(QUERIES) != other.encode(QUERIES)).nnz == 0


@given(st.lists(any_text, min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_vector_does_not_depend_on_its_neighbours(texts):
    together = Lexical().encode(texts)
    for at, text in enumerate(texts):
        assert (together[[at]] != Lexical().encode([text])).nnz == 0


@pytest.mark.parametrize(
    "text", ["", " \t\n", "?!…", "👍", "\ud800"], ids=["empty", "space", "marks", "emoji", "surrogate"]
)
def test_a_text_without_words_is_a_zero_row(text):
    vectors = Lexical().fit([*CORPUS, text]).encode([text, "card"])
    assert np.diff(vectors.indptr)[0] == 0
    assert np.isfinite(vectors.data).all()


def test_no_texts_give_no_rows():
    assert Lexical().encode([]).shape == (0, 2**20)


def test_words_that_the_corpus_lacks_weigh_most():
    encoder = Lexical(max_chars=0).fit(["card", "card", "card"])
    vector, words = encoder.encode(["card zebra"]), encoder.encode(["card", "zebra"])
    known, unknown = (vector @ words.T).toarray()[0]
    assert unknown > known > 0


def test_korean_words_with_other_particles_are_similar():
    vectors = Lexical().encode(["배송이 늦었어요", "배송은 늦어요", "화면이 깨졌어요"])
    similar = (vectors @ vectors.T).toarray()
    assert similar[0, 1] > 1.5 * similar[0, 2]


@pytest.mark.parametrize(
    ("one", "other"),
    [("한국어", "한국어"), ("CARD", "card"), ("Straße", "STRASSE"), ("a,b", "a  b")],
    ids=["decomposed", "case", "sharp s", "marks"],
)
def test_these_texts_are_the_same(one, other):
    vectors = Lexical().encode([unicodedata.normalize("NFD", one), other])
    assert (vectors[[0]] != vectors[[1]]).nnz == 0


def test_fit_leaves_the_encoder_as_it_was():
    encoder = Lexical()
    before = encoder.fingerprint
    fitted = encoder.fit(CORPUS)
    assert encoder.fingerprint == before != fitted.fingerprint


@pytest.mark.parametrize(
    "other", [Lexical().fit(CORPUS[:-1]), Lexical(words=False).fit(CORPUS), Lexical(max_chars=3).fit(CORPUS)]
)
def test_the_fingerprint_holds_corpus_and_parameters(other):
    assert other.fingerprint != Lexical().fit(CORPUS).fingerprint


def test_columns_are_the_same_in_every_process():
    program = "from fewshot.encoders import Lexical; print(sorted(Lexical().encode(['배송 card']).indices.tolist()))"
    environments = [{"PYTHONHASHSEED": seed} for seed in ("0", "1")]
    outputs = {subprocess.run([sys.executable, "-c", program], env=e, capture_output=True).stdout for e in environments}
    assert outputs == {f"{sorted(Lexical().encode(['배송 card']).indices.tolist())}\n".encode()}


@pytest.mark.parametrize("params", [{"words": False, "max_chars": 0}, {"min_chars": 5}, {"min_chars": 0}])
def test_parameters_that_make_no_sense_are_refused(params):
    with pytest.raises(UsageError, match="chars"):
        Lexical(**params)
