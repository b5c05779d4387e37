"""One label for nearly every answer: where that is no chance, and where it may be."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from evals.alarms import alarm_of, one_label, sentence

EVEN = {"a": 20, "b": 20}


def group(decided: str, expected: Any) -> tuple[Counter[Any], Counter[Any]]:
    return Counter(decided), Counter(expected)


@pytest.mark.promise(65)
@pytest.mark.parametrize(
    ("decided", "expected", "raised"),
    [
        pytest.param("a" * 10, EVEN, True, id="ten of ten"),
        pytest.param("a" * 39 + "b", EVEN, True, id="nearly all"),
        pytest.param("a" * 10, dict.fromkeys("abcde", 5), True, id="five classes"),
        pytest.param("a" * 100, {"a": 90, "b": 10}, True, id="many, of unbalanced data"),
        pytest.param("c" * 10, EVEN, True, id="a label that was not to be expected"),
        pytest.param("a" * 9, EVEN, False, id="too few"),
        pytest.param("a" * 18 + "bb", EVEN, False, id="not nearly all"),
        pytest.param("a" * 10, {"a": 90, "b": 10}, False, id="few, of unbalanced data"),
        pytest.param("a" * 40, {"a": 97, "b": 3}, False, id="nearly all are of one class"),
        pytest.param("a" * 40, {"a": 40}, False, id="there is but one class"),
        pytest.param("", EVEN, False, id="no answer"),
    ],
)
def test_one_label_for_nearly_all(decided: str, expected: dict[str, int], raised: bool) -> None:
    found = one_label([group(decided, expected)])
    assert (found is not None and found.implausible) is raised
    assert alarm_of([group(decided, expected)])["flag"] is raised


@pytest.mark.promise(65)
@pytest.mark.parametrize(
    ("episodes", "raised", "share"),
    [
        pytest.param([("aaaa", "aabb"), ("bbbb", "aabb"), ("aaaa", "aabb")], True, 1.0, id="another in each episode"),
        pytest.param([("aabb", "aabb")] * 20, False, 0.5, id="all right"),
        pytest.param([("aabb", "aabb")] * 10 + [("aaaa", "aabb")] * 10, False, 0.75, id="half of the episodes"),
        pytest.param([("aa", "ab"), ("ab", "ab")] * 20, False, 0.75, id="as by chance, in small episodes"),
        pytest.param([("a", "a"), ("a", "b")] * 10, True, 1.0, id="one query per episode, all alike"),
        pytest.param([("a", "a"), ("b", "b")] * 10, False, 0.5, id="one query per episode, all right"),
        pytest.param([("aa", "aa"), ("bb", "bb")] * 10, False, 0.5, id="episodes of one class each, all right"),
    ],
)
def test_episodes(episodes: list[tuple[str, str]], raised: bool, share: float) -> None:
    alarm = alarm_of([group(*episode) for episode in episodes])
    assert (alarm["flag"], alarm["share"]) == (raised, pytest.approx(share))


def test_the_sentence() -> None:
    said = sentence("icl", alarm_of([group("a" * 60, EVEN)]))
    assert said == ("icl gives one label to 100% of its answers, where 50% are to be expected: a bias, not a skill")
