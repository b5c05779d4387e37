"""Repeated stratified splits: what is shown, what is asked, and what cannot be split."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.recommend.splits import make_splits
from evals.types import Example
from fewshot.core.errors import TaskError, UsageError
from tests.evals.recommend.data import task_of

COUNTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 40), min_size=2).filter(
    lambda counts: sum(counts.values()) >= 2 * len(counts)
)


@given(COUNTS, st.integers(0, 3))
def test_every_repeat_asks_every_row_once_and_shows_every_class(counts: dict[str, int], seed: int) -> None:
    splits = make_splits(task_of(counts), seed=seed)
    testable = {row.id for row in splits.rows if counts[str(row.label)] > 1}
    for repeat in range(splits.repeats):
        folds = splits.splits[repeat * splits.folds : (repeat + 1) * splits.folds]
        asked = [row.id for split in folds for row in split.rows]
        assert sorted(asked) == sorted(testable)
        sizes = [len(split.rows) for split in folds]
        assert max(sizes) - min(sizes) <= 1
    for split in splits.splits:
        shown = {example.id for example in split.problem.support}
        assert shown.isdisjoint(row.id for row in split.rows)
        assert {example.label for example in split.problem.support} == set(counts)
        assert {label.name for label in split.problem.labels} == set(counts)
    assert splits.untested == tuple(sorted(name for name, n in counts.items() if n == 1))
    assert splits.n_train + splits.n_test == len(splits.rows)


def test_splits_are_a_function_of_data_and_seed() -> None:
    task = task_of({"a": 12, "b": 9})
    assert make_splits(task, seed=1) == make_splits(task, seed=1)
    assert make_splits(task, seed=1).splits[0].problem.id != make_splits(task, seed=2).splits[0].problem.id


def test_queries_carry_no_label_and_no_telling_id() -> None:
    split = make_splits(task_of({"a": 5, "b": 5})).splits[0]
    assert [query.id for query in split.problem.queries] == [f"q{at}" for at in range(len(split.rows))]
    assert all(query.fields == {} for query in split.problem.queries)


def test_of_many_rows_a_stratified_sample_is_used() -> None:
    splits = make_splits(task_of({"large": 900, "small": 90, "rare": 2}), max_rows=100)
    counts = Counter(row.label for row in splits.rows)
    assert splits.n_available == 992
    assert counts.total() == 100
    assert counts["rare"] == 2
    assert counts["small"] == pytest.approx(9, abs=2)


def test_a_small_sample_still_has_two_texts_of_every_class() -> None:
    splits = make_splits(task_of({"a": 50, "b": 5, "c": 9}), max_rows=6)
    assert Counter(row.label for row in splits.rows) == {"a": 2, "b": 2, "c": 2}
    with pytest.raises(UsageError, match="use 6 or more"):
        make_splits(task_of({"a": 50, "b": 5, "c": 9}), max_rows=5)


@pytest.mark.parametrize(("part", "used"), [("train", True), ("test", False)], ids=["train", "held out"])
def test_rows_held_out_for_tests_are_not_touched(part: str, used: bool) -> None:
    task = task_of({"a": 5, "b": 5}, part=part)
    if used:
        assert len(make_splits(task).rows) == 10
    else:
        with pytest.raises(TaskError, match="0 classes among 0 rows"):
            make_splits(task)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (task_of({"a": 9}), "1 classes among 9 rows"),
        (task_of(dict.fromkeys("abcdef", 1)), "6 different labels for 6 texts"),
    ],
    ids=["one class", "labels that are texts"],
)
def test_what_cannot_be_split_is_refused(task: object, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        make_splits(task)  # type: ignore[arg-type]


def _doubled(text: str) -> list[str]:
    return [text, f"{text}!", f"{text.upper()}\u200b."]


@pytest.mark.promise(87)
@pytest.mark.parametrize("n", [2, 3, 9])
def test_near_copies_are_asked_in_one_fold(n: int) -> None:
    words = {"a": "a long story of the parcel number", "b": "some dull tale about a lamp with number"}
    texts = [
        (text, name)
        for name, said in words.items()
        for at in range(n)
        for text in _doubled(f"{said} {at}{at}{at}{at}{at}")
    ]
    rows = tuple(Example(str(at), text, name) for at, (text, name) in enumerate(texts))
    task = replace(task_of({"a": 2, "b": 2}), rows={"all": rows})
    splits = make_splits(task)
    assert splits.splits
    for split in splits.splits:
        shown = {int(row.id) // 3 for row in split.problem.support}
        assert shown.isdisjoint(int(row.id) // 3 for row in split.rows)
        assert {row.label for row in split.problem.support} == {"a", "b"}


def test_classes_of_copies_alone_cannot_be_split() -> None:
    rows = tuple(
        Example(str(at), text, "ab"[at // 3])
        for at, text in enumerate(_doubled("first text of a") + _doubled("another text, of b"))
    )
    with pytest.raises(TaskError, match="near copies of each other"):
        make_splits(replace(task_of({"a": 2, "b": 2}), rows={"all": rows}))
