"""Label names stand in for texts: which words count as names, and what a problem looks like with them."""

from __future__ import annotations

import pytest

from evals.label_names import named_texts, says_something, unread, with_names
from evals.types import Example, Label, Problem, Query, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError

LABELS = (Label("refund", "환불", "돈을 돌려받고 싶다"), Label("delivery", "배송"))


def problem(labels: tuple[Label, ...] = LABELS) -> Problem:
    support = tuple(Example(f"s{at}", f"text {at}", label.name) for at, label in enumerate(labels))
    return Problem("p", TaskInfo("t", "ko", "classification"), labels, support, (Query("q", "언제 오나요"),))


@pytest.mark.parametrize(
    "words",
    ["환불", "refund", "set alarm", "AI", "Refund_not_showing_up", "R&B", "좋음", "World", "3D prints", "😀 joy"],
)
def test_words_are_names(words: str) -> None:
    assert says_something(words)


@pytest.mark.parametrize(
    "words",
    [
        "0",
        "12",
        "-1",
        "3.5",
        "a",
        "B",
        "LABEL_3",
        "class 2",
        "c1",
        "유형 3",
        "클래스A",
        "deadbeef01",
        "",
        " ",
        "#",
        "😀",
    ],
)
def test_numbers_ids_and_signs_are_none(words: str) -> None:
    assert not says_something(words)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("auto", ["환불", "배송"]),
        ("verbalizer", ["환불", "배송"]),
        ("description", ["돈을 돌려받고 싶다", "배송"]),
        ("none", None),
    ],
)
def test_which_words_are_taken(names: str, expected: list[str] | None) -> None:
    assert named_texts(LABELS, names) == expected  # pyright: ignore[reportArgumentType]


def test_a_name_for_some_classes_alone_is_not_used_unless_asked_for() -> None:
    labels = (Label("refund", "refund"), Label("7", "7"))
    assert named_texts(labels, "auto") is None
    assert named_texts(labels, "verbalizer") == ["refund", "7"]


@pytest.mark.parametrize(
    ("words", "names", "told"),
    [
        (("0", "1"), "auto", True),
        (("refund", "7"), "auto", True),
        (("LABEL_0", "LABEL_1"), "auto", True),
        (("클래스 1", "클래스 2"), "auto", True),
        (("😀", "😡"), "auto", True),
        (("환불", "배송"), "auto", False),
        (("0", "1"), "none", False),
        (("0", "1"), "verbalizer", False),
    ],
)
def test_that_names_say_nothing_is_told_where_they_would_be_read(words, names, told) -> None:
    assert (unread([Label(word, word) for word in words], names) is not None) is told


def test_every_name_is_one_more_text_of_its_class() -> None:
    named = with_names(problem(), "auto")
    assert [(row.text, row.label) for row in named.support] == [
        ("환불", "refund"),
        ("배송", "delivery"),
        ("text 0", "refund"),
        ("text 1", "delivery"),
    ]
    assert named.queries == problem().queries


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(UsageError, match="verbalizer"):
        with_names(problem(), "verbaliser")  # pyright: ignore[reportArgumentType]


def test_a_spec_says_names_none() -> None:
    assert LEARNERS.build("prototypes:encoder=lexical,names=none").names == "none"
