"""The parser never guesses."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evals.types import Status
from fewshot.core.hashing import text_key
from icl.prompt import PromptBuilder
from icl.scoring.parse import parse_label

pytestmark = pytest.mark.promise(11)

LABELS = ("positive", "negative", "pos", "긍정", "부정", "0", "false", "card arrival", "C++", "yes!", "naïve")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("positive", "positive"),
        (" positive\n", "positive"),
        ("Positive.", "positive"),
        ('"positive"', "positive"),
        ("“긍정”.", "긍정"),
        ("'negative'!", "negative"),
        ('{"label": "positive"}', "positive"),
        ('["부정"]', "부정"),
        ('{"label": ["pos."]}', None),
        ("pos", "pos"),
        ("0", "0"),
        ("false", "false"),
        ("card   ARRIVAL", "card arrival"),
        ("C++", "C++"),
        ("yes!", "yes!"),
        ("yes", None),
        (unicodedata.normalize("NFD", "긍정"), "긍정"),
        (unicodedata.normalize("NFD", "naïve"), "naïve"),
        ("positive negative", None),
        ("positive, negative", None),
        ("not positive", None),
        ("Sentiment: positive", None),
        ("positiv", None),
        ("positively", None),
        ('{"a": "positive", "b": "negative"}', None),
        ('{"label": "positive"', None),
        ("{" * 5000, None),
        ("[" * 5000, None),
        ("...", None),
    ],
)
def test_table(text: str, label: str | None) -> None:
    choice, status = parse_label(text, LABELS)
    assert (None if choice is None else LABELS[choice]) == label
    assert status is (Status.OK if label else Status.NOT_IN_LABELS)


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_nothing_written(text: str) -> None:
    assert parse_label(text, LABELS) == (None, Status.UNPARSED)


words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
labels_of = st.lists(words, min_size=2, max_size=5, unique_by=text_key).filter(lambda names: all(map(text_key, names)))


@given(labels_of, st.sampled_from(["{}", " {} \n", "{}"]), st.data())
def test_a_rendered_label_parses_to_itself(labels: list[str], form: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(labels) - 1))
    written = PromptBuilder("minimal", labels=tuple(labels)).continuation(labels[at])
    assert parse_label(form.format(written), labels) == (at, Status.OK)


@given(labels_of, st.sampled_from(["", " ", ", ", "\n", " or "]), st.data())
def test_two_labels_never_parse(labels: list[str], between: str, data: st.DataObject) -> None:
    one, other = data.draw(st.sampled_from(labels)), data.draw(st.sampled_from(labels))
    text = one + between + other
    assume(text_key(text) not in map(text_key, labels))
    choice, _ = parse_label(text, labels)
    # Taking off punctuation may leave one of the two only where the other was nothing but punctuation.
    assert choice is None or text_key(labels[choice]) not in (text_key(one), text_key(other))


@given(labels_of)
def test_json_of_a_label(labels: list[str]) -> None:
    wrapped = json.dumps({"label": labels[0]}, ensure_ascii=False)
    choice, _ = parse_label(wrapped, labels)
    assert choice in (0, None)
