"""Tables in memory are tasks like files: for load_task, compare and recommend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.comparison import compare
from evals.loading import load_task
from evals.recommend import recommend
from fewshot.core.errors import FewshotError, TaskError, UsageError

TEXTS = ["배송이 늦어요", "배송 조회요", "배송 언제", "환불해 주세요", "환불 언제", "환불 취소"]
COLUMNS: dict[str, list[Any]] = {"text": TEXTS, "label": ["배송"] * 3 + ["환불"] * 3}


def _pandas(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


def _polars(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("polars").DataFrame(columns)


def _datasets(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("datasets").Dataset.from_dict(columns)


TABLES = pytest.mark.parametrize("table", [_pandas, _polars, _datasets])


@TABLES
def test_a_table_is_a_task(table: Callable[..., Any]) -> None:
    task = load_task(table(COLUMNS), name="문의")
    assert (task.name, task.info.language, task.files) == ("문의", "ko", ())
    assert [(row.text, row.label) for row in task.rows["all"]] == list(zip(*COLUMNS.values(), strict=True))
    renamed = {"문의": COLUMNS["text"], "분류": COLUMNS["label"]}
    assert load_task(table(renamed), text="문의", label="분류").rows == task.rows


@TABLES
def test_labels_that_are_numbers_and_texts_that_are_missing(table: Callable[..., Any]) -> None:
    task = load_task(table({"text": [*TEXTS, None], "label": [0, 0, 0, 1, 1, 1, 1]}))
    assert [label.name for label in task.labels] == ["0", "1"]
    assert task.notes == ("left out 1 rows without text",)


@TABLES
def test_compare_and_recommend_take_tables(table: Callable[..., Any], tmp_path: Path) -> None:
    made = table(COLUMNS)
    compared = compare(made, ["nn"], way=2, shot=1, query=1, episodes=2, run_dir=tmp_path)
    assert compared.analyses[0].table.task == "data"
    with pytest.raises(UsageError, match="the same name"):
        compare([made, made], ["nn"], run_dir=tmp_path)
    assert recommend(made, ["tfidf"], minutes=0.2).task.name == "data"


def test_splits_and_class_names_of_data_sets() -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["배송", "환불"])}
    )
    part = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 0, 0, 1, 1, 1]}, features=features)
    other = datasets.Dataset.from_dict({"text": ["다른 배송", "다른 환불"], "label": [0, 1]}, features=features)
    task = load_task(datasets.DatasetDict({"train": part, "validation": other}))
    assert {name: len(rows) for name, rows in task.rows.items()} == {"train": 6, "valid": 2}
    assert [label.name for label in task.labels] == ["배송", "환불"]


def test_class_names_of_lists_of_labels_and_tags() -> None:
    datasets = pytest.importorskip("datasets")
    kinds = {"labels": ["기쁨", "슬픔"], "tags": ["B-PS", "I-PS", "O"]}
    golds = {"labels": [[0, 1], [1], []], "tags": [[0, 1, 2], [2, 2, 2], [2, 2, 0]]}
    read = {
        "labels": [("기쁨", "슬픔"), ("슬픔",), ()],
        "tags": [("B-PS", "I-PS", "O"), ("O",) * 3, ("O", "O", "B-PS")],
    }
    for column, names in kinds.items():
        held = datasets.Sequence(datasets.ClassLabel(names=names))
        features = datasets.Features({"text": datasets.Value("string"), column: held})
        rows = {"text": ["a b c", "d e f", "g h i"], column: golds[column]}
        task = load_task(datasets.Dataset.from_dict(rows, features=features))
        assert [row.label for row in task.rows["all"]] == read[column]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (5, "int is no task"),
        ([1, 2], "list is no task"),
        ({"somewhere": None}, "splits are called train, valid and test; these are somewhere"),
    ],
    ids=str,
)
def test_what_is_no_table_is_refused(table: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_task(table)


@TABLES
def test_a_table_without_the_columns_says_which_there_are(table: Callable[..., Any]) -> None:
    with pytest.raises(FewshotError, match=r"row 1: there is no column 'text'; the columns are 문의, 분류"):
        load_task(table({"문의": TEXTS, "분류": COLUMNS["label"]}))
