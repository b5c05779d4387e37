"""Reports in other formats: complete, readable by their tools, and data stays data."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evals.comparison import Comparison
from evals.report import write_report
from evals.report.tables import flat_rows, to_csv, to_latex, to_markdown
from fewshot.core.errors import MissingExtra, UsageError


def test_markdown_has_a_row_per_learner_and_table(comparison: Comparison) -> None:
    text = to_markdown(comparison)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == sum(len(analysis.standings) + 2 for analysis in comparison.analyses)
    assert {line.count(" | ") for line in lines} == {11}
    assert "| 괜찮은 학습기 |" in text


def test_no_text_becomes_markup_in_markdown(hostile: Comparison) -> None:
    text = to_markdown(hostile)
    assert "\\<script\\>" in text
    assert "<script" not in text.replace("\\<", "")


def test_latex_escapes_its_special_characters(hostile: Comparison) -> None:
    text = to_latex(hostile)
    assert r"95 \% this pool" in text
    assert "<" not in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == len(hostile.analyses)


@pytest.mark.promise(24)
@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_csv_cells_are_no_formulas(start: str) -> None:
    cells = [{"learner": start, "difference": -1.5}]
    written = next(csv.DictReader(io.StringIO(to_csv(cells), newline="")))
    assert written == {"learner": f"'{start}", "difference": "-1.5"}
    assert next(csv.DictReader(io.StringIO(to_csv(cells, raw=True), newline="")))["learner"] == start


def test_csv_holds_the_rows(comparison: Comparison, tmp_path: Path) -> None:
    write_report(comparison, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [(row["learner"], float(row["accuracy"])) for row in read] == [
        (row["learner"], row["accuracy"]) for row in comparison.rows()
    ]


def test_every_row_tells_how_far_it_is_behind_the_best(comparison: Comparison) -> None:
    found = iter(flat_rows(comparison))
    for analysis in comparison.analyses:
        best, *others = [next(found) for _ in analysis.standings]
        assert best["behind"] is best["p_new_texts_holm"] is None
        for row in others:
            assert row["behind"] == pytest.approx(best["accuracy"] - row["accuracy"])
            assert row["behind_low"] <= row["behind"] <= row["behind_high"]
            assert row["behind_low_new_texts"] <= row["behind_high_new_texts"]
            assert row["p_new_texts_holm"] == analysis.pair(best["learner"], row["learner"]).p_new_texts_holm


def test_identical_learners_are_called_identical_and_stay_numbers_where_programs_read(twins: Comparison) -> None:
    markdown = [line.split(" | ") for line in to_markdown(twins).splitlines() if line.startswith(("| one ", "| same "))]
    latex = [line.split(" & ") for line in to_latex(twins).splitlines() if line.startswith(("one ", "same "))]
    for first, second in (markdown, latex):
        assert (first[4:7], second[4:7]) == (["-"] * 3, ["identical", "-", "-"])
    row = next(row for row in flat_rows(twins) if row["learner"] == "same")
    assert (row["behind"], row["behind_low_new_texts"], row["behind_high_new_texts"]) == (0, 0, 0)
    assert {"one", "same"} in [{pair["a"], pair["b"]} for pair in twins.document["pairs"] if pair["identical"]]


def test_notes_come_first(comparison: Comparison) -> None:
    unfinished = replace(comparison, unfinished="NOT FINISHED: 1 of 2 runs are missing")
    assert to_markdown(unfinished).startswith("> NOT FINISHED: 1 of 2 runs are missing\n")
    latex = to_latex(unfinished)
    assert latex.index("NOT FINISHED") < latex.index("tabular")


def test_a_learner_that_did_not_answer_everything_says_so(comparison: Comparison) -> None:
    analysis = comparison.analyses[0]
    partial = replace(analysis.standings[-1], n_episodes=7)
    changed = replace(analysis, standings=(*analysis.standings[:-1], partial))
    told = replace(comparison, analyses=(changed,))
    for text in (to_markdown(told), to_latex(told)):
        assert text.count(f"7 of {analysis.table.n_episodes} episodes") == 1


def test_json_is_the_document(comparison: Comparison, tmp_path: Path) -> None:
    write_report(comparison, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == json.loads(json.dumps(comparison.document))


def test_parquet_holds_the_rows(comparison: Comparison, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_report(comparison, tmp_path / "r.parquet")
    assert parquet.read_table(tmp_path / "r.parquet").to_pylist() == flat_rows(comparison)


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
