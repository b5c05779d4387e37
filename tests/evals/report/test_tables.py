"""Reports in other formats: complete, readable by their tools, and data stays data."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from evals.comparison import Comparison
from evals.report import write_report
from evals.report.tables import to_csv, to_latex, to_markdown
from fewshot.core.errors import MissingExtra, UsageError


def test_markdown_has_a_row_per_learner_and_table(comparison: Comparison) -> None:
    text = to_markdown(comparison)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == sum(len(analysis.standings) + 2 for analysis in comparison.analyses)
    assert {row.count(" | ") for row in rows} == {8}
    assert "| 괜찮은 학습기 |" in text


def test_no_text_becomes_markup_in_markdown(hostile: Comparison) -> None:
    text = to_markdown(hostile)
    assert "\\<script\\>" in text
    assert "<script" not in text.replace("\\<", "")


def test_latex_escapes_its_special_characters(hostile: Comparison) -> None:
    text = to_latex(hostile)
    assert r"95 \% this pool" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == len(hostile.analyses)


@pytest.mark.promise(24)
@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_csv_cells_are_no_formulas(start: str) -> None:
    rows = [{"learner": start, "difference": -1.5}]
    written = next(csv.DictReader(io.StringIO(to_csv(rows), newline="")))
    assert written == {"learner": f"'{start}", "difference": "-1.5"}
    assert next(csv.DictReader(io.StringIO(to_csv(rows, raw=True), newline="")))["learner"] == start


def test_csv_holds_the_rows(comparison: Comparison, tmp_path: Path) -> None:
    write_report(comparison, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [(row["learner"], float(row["accuracy"])) for row in read] == [
        (row["learner"], row["accuracy"]) for row in comparison.rows()
    ]


def test_json_is_the_document(comparison: Comparison, tmp_path: Path) -> None:
    write_report(comparison, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == json.loads(json.dumps(comparison.document))


def test_parquet_holds_the_rows(comparison: Comparison, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_report(comparison, tmp_path / "r.parquet")
    assert parquet.read_table(tmp_path / "r.parquet").to_pylist() == comparison.rows()


@pytest.mark.parametrize(
    ("suffix", "package", "extra"),
    [(".html", "altair", "report"), (".html", "vl_convert", "report"), (".parquet", "pyarrow", "data")],
)
def test_a_missing_package_names_its_extra(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"fewshot\[{extra}\]"):
        write_report(comparison, tmp_path / f"r{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_names_the_known_ones(comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.html, \.md, \.csv, \.parquet, \.tex, \.json"):
        write_report(comparison, tmp_path / "r.pdf")
