"""Label words: which kinds there are, and that they tell nothing."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.types import Label, Problem, TaskInfo
from fewshot.core.errors import UsageError
from fewshot.core.seeds import random_state
from icl.metatrain.words import WORD_KINDS, draw_words, lexicon, refuse_collisions, reworded

SENTIMENT = (Label("negative", "부정"), Label("positive", "긍정"))
INTENTS = tuple(Label(name, name) for name in ("light", "music", "alarm"))


def drawn(labels: tuple[Label, ...], kind: str, seed: int, turn: int) -> tuple[str, ...]:
    found, words = draw_words(labels, "ko", {kind: 1.0}, lexicon(), random_state(seed), turn)  # type: ignore[dict-item]
    assert found == kind
    return words


@pytest.mark.parametrize("kind", [kind for kind in WORD_KINDS if kind != "canonical"])
def test_over_a_pair_every_word_stands_for_every_class_exactly_once(kind: str) -> None:
    for seed in range(50):
        met = Counter()
        for turn in (0, 1):
            met.update(zip(("negative", "positive"), drawn(SENTIMENT, kind, seed, turn), strict=True))
        words = {word for _, word in met}
        assert met == {(name, word): 1 for name in ("negative", "positive") for word in words}
        assert len(words) == 2


def test_permuted_words_are_swapped_in_half_of_the_sequences() -> None:
    found = Counter(drawn(SENTIMENT, "permuted", seed, turn) for seed in range(40) for turn in (0, 1))
    assert found == {("부정", "긍정"): 40, ("긍정", "부정"): 40}


def test_canonical_words_stay_and_synonyms_keep_to_the_language() -> None:
    assert drawn(SENTIMENT, "canonical", 3, 1) == ("부정", "긍정")
    rows = lexicon().rows(SENTIMENT, "ko-KR", "synonyms")
    assert ("나쁨", "좋음") in rows
    assert ("bad", "good") not in rows
    assert ("bad", "good") in lexicon().rows(SENTIMENT, "ko", "foreign")


def test_kinds_without_words_for_the_classes_are_left_out() -> None:
    kinds = {
        draw_words(INTENTS, "en", {"synonyms": 1, "random": 1}, lexicon(), random_state(at), 0)[0] for at in range(20)
    }
    assert kinds == {"random"}
    with pytest.raises(UsageError, match="no label words of the kinds synonyms"):
        draw_words(INTENTS, "en", {"synonyms": 1}, lexicon(), random_state(0), 0)


@given(st.integers(2, 12), st.integers(0, 500), st.integers(0, 1))
def test_words_are_as_many_as_classes_and_all_different(way: int, seed: int, turn: int) -> None:
    labels = tuple(Label(f"c{at}", f"c{at}") for at in range(way))
    _, words = draw_words(labels, "en", {"random": 1, "permuted": 1}, lexicon(), random_state(seed), turn)
    assert len(set(words)) == way


def problem(labels: tuple[Label, ...], name: str) -> Problem:
    return Problem(name, TaskInfo("toy", "ko", "classification"), labels, (), ())


def test_swapped_words_are_all_wrong_and_labels_keep_their_names() -> None:
    for labels in (SENTIMENT, INTENTS):
        found = reworded(problem(labels, "p"), "swapped", lexicon()).labels
        assert [label.name for label in found] == [label.name for label in labels]
        assert {label.verbalizer for label in found} == {label.verbalizer for label in labels}
        assert all(one.verbalizer != other.verbalizer for one, other in zip(found, labels, strict=True))


def test_letters_of_a_test_never_stood_together_in_training() -> None:
    trained = {frozenset(drawn(SENTIMENT, "letters", seed, 0)) for seed in range(300)}
    tested = {
        frozenset(label.verbalizer for label in reworded(problem(SENTIMENT, str(at)), "letters", lexicon()).labels)
        for at in range(300)
    }
    assert len(tested) > 50
    assert not trained & tested


def test_words_that_are_the_same_tokens_are_refused() -> None:
    refuse_collisions(["a", "b"], lambda word: [ord(word)])
    with pytest.raises(UsageError, match="'긍정' and '부정' are the same tokens"):
        refuse_collisions(["긍정", "부정"], lambda word: [0])
