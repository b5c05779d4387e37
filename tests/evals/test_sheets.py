"""Workbooks as people have them: dates, numbers, formulas, merged cells, titles and several sheets."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from evals.loading import load_task
from evals.sources import read_rows
from fewshot.core.errors import FewshotError, MissingExtra, TaskError, UsageError

openpyxl = pytest.importorskip("openpyxl")
GOOD = [["text", "label"], ["배송이 늦어요", "a"], ["환불해 주세요", "b"]]


def book(path: Path, sheets: dict[str, list[list[Any]]], merged: str = "") -> Path:
    """A workbook with these sheets; `merged` is a range of its first one."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    if merged:
        made.worksheets[0].merge_cells(merged)
    made.save(path)
    return path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 13, 30), "2024-05-01 13:30:00"),
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        (True, "TRUE"),
        ("012", "012"),
        ("배송", "배송"),
        ("#N/A", "#N/A"),
    ],
    ids=str,
)
def test_labels_of_every_kind_are_plain_text(tmp_path: Path, value: Any, text: str) -> None:
    path = book(tmp_path / "x.xlsx", {"S": [["text", "label"], ["one", value], ["two", "other"]]})
    assert {label.name for label in load_task(path).labels} == {text, "other"}


LAYOUTS: dict[str, list[list[Any]]] = {
    "plain": GOOD,
    "a title above": [["고객 문의"], [], *GOOD],
    "empty rows and columns": [
        [],
        [None, "text", None, "label"],
        [],
        [None, *GOOD[1][:1], None, "a"],
        [],
        [None, "환불해 주세요", None, "b"],
        [],
    ],
    "more columns": [["id", *GOOD[0]], [1, *GOOD[1]], [2, *GOOD[2]]],
}


@pytest.mark.parametrize("rows", LAYOUTS.values(), ids=LAYOUTS)
def test_the_header_is_the_row_with_the_columns(tmp_path: Path, rows: list[list[Any]]) -> None:
    task = load_task(book(tmp_path / "x.XLSX", {"S": rows}))
    assert [(row.text, row.label) for row in task.rows["all"]] == [("배송이 늦어요", "a"), ("환불해 주세요", "b")]


SEVERAL = {"표지": [["notes"], ["made in May"]], "문의": GOOD, "old": [*GOOD, ["무엇이죠", "c"]]}


@pytest.mark.parametrize(("sheet", "n_labels", "told"), [(None, 2, "'문의' is read"), ("old", 3, "")])
def test_of_several_sheets_the_first_that_fits_is_read_and_told(
    tmp_path: Path, sheet: str | None, n_labels: int, told: str
) -> None:
    task = load_task(book(tmp_path / "x.xlsx", SEVERAL), sheet=sheet)
    assert len(task.labels) == n_labels
    assert any(told in note for note in task.notes) == bool(told)


def test_a_sheet_that_there_is_not_is_named(tmp_path: Path) -> None:
    path = book(tmp_path / "x.xlsx", SEVERAL)
    with pytest.raises(UsageError, match="문의"):
        load_task(path, sheet="문희")
    (tmp_path / "x.csv").write_text("text,label\na,b\n")
    with pytest.raises(UsageError, match="--sheet is for"):
        load_task(tmp_path / "x.csv", sheet="문의")
    with pytest.raises(UsageError, match="--encoding is for files of text"):
        load_task(path, encoding="cp949")


def test_merged_cells_are_told_and_empty_but_for_the_first(tmp_path: Path) -> None:
    path = book(tmp_path / "x.xlsx", {"S": [["text", "label"], ["one", "a"], ["two", None], ["three", "b"]]}, "B2:B3")
    notes: list[str] = []
    assert [row.values["label"] for row in read_rows(path, notes.append)] == ["a", "", "b"]
    assert [note for note in notes if "merged" in note]
    with pytest.raises(TaskError, match="row 3: column 'label' is empty"):
        load_task(path)


def test_formulas_without_a_value_are_told(tmp_path: Path) -> None:
    path = book(tmp_path / "x.xlsx", {"S": [["text", "label"], ['="one"&" two"', "a"], ["three", "b"], ["four", "a"]]})
    assert any("formulas without a computed value" in note for note in load_task(path).notes)


BAD: dict[str, tuple[list[list[Any]], str]] = {
    "empty": ([], "holds no rows"),
    "header only": ([["text", "label"]], "holds no rows"),
    "two columns of a name": ([["text", "text"], ["a", "b"]], "row 1: two columns have the same name"),
    "no label column": ([["text", "class"], ["a", "b"]], "row 2: there is no column 'label'"),
    "empty label": ([*GOOD, ["what", None]], "row 4: column 'label' is empty"),
    "beside the table": ([*GOOD, ["what", "a", None, "stray"]], "row 4: there are cells to the right"),
}


@pytest.mark.promise(23)
@pytest.mark.parametrize(("rows", "message"), BAD.values(), ids=BAD)
def test_bad_workbooks_are_one_clear_line(tmp_path: Path, rows: list[list[Any]], message: str) -> None:
    path = book(tmp_path / "x.xlsx", {"S": rows})
    with pytest.raises(FewshotError) as caught:
        load_task(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_without_openpyxl_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = book(tmp_path / "x.xlsx", {"S": GOOD})
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match=r'pip install "fewshot\[excel\]"'):
        load_task(path)
