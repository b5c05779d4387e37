"""Files as people have them, through every command that takes one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

openpyxl = pytest.importorskip("openpyxl")

ROWS = [
    ("배송이 너무 늦어요", "배송"),
    ("택배 배송이 아직 안 왔어요", "배송"),
    ("배송 조회가 안 돼요", "배송"),
    ("환불해 주세요", "환불"),
    ("환불은 언제 되나요", "환불"),
    ("반품하고 환불받을래요", "환불"),
]
READING = ["--text", "문의", "--label", "분류"]
PROBE = ["-a", "probe", "--encoder", "lexical"]
SMALL = ["--way", "2", "--shot", "1", "--query", "1", "-n", "2"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user works: labelled texts in 사본.csv (CP949, semicolons), in 사본.xlsx and in UTF-16."""
    monkeypatch.chdir(tmp_path)
    table = "".join(f"{text};{label}\r\n" for text, label in [("문의", "분류"), *ROWS])
    Path("사본.csv").write_bytes(table.encode("cp949"))
    Path("wide.tsv").write_bytes(table.replace(";", "\t").encode("utf-16"))
    lines = [json.dumps({"문의": text, "분류": label}, ensure_ascii=False) for text, label in ROWS]
    Path("lines.jsonl").write_bytes("\n".join(lines).encode("euc_kr"))
    _book(Path("사본.xlsx"), {"표지": [["고객 문의"]], "문의": [["문의", "분류"], *map(list, ROWS)]})
    return tmp_path


def _book(path: Path, sheets: dict[str, list[list[Any]]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)


COMMANDS: dict[str, list[str]] = {
    "tasks show": ["FILE"],
    "tasks check": ["FILE"],
    "icl run": ["-t", "FILE", *SMALL, "--dry-run"],
    "icl preview": ["-m", "openai:any", "--base-url", "http://127.0.0.1:9/v1", "-t", "FILE", *SMALL[:-2]],
    "icl select": ["-t", "FILE", "--text", "배송이 언제 되나요"],
    "classic run": ["-t", "FILE", *PROBE, *SMALL],
    "classic predict": ["new.txt", "--support", "FILE", *PROBE],
    "compare": ["-t", "FILE", "-l", "nn", *SMALL],
    "power": ["-t", "FILE", "-l", "nn", "-l", "tfidf", *SMALL, "--pilot", "5"],
    "recommend": ["FILE", "-l", "tfidf", "--budget", "0.2"],
}


@pytest.mark.parametrize("file", ["사본.csv", "wide.tsv", "lines.jsonl", "사본.xlsx"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_every_file(folder: Path, fewshot: Callable[..., Any], command: str, file: str) -> None:
    Path("new.txt").write_text("환불 되나요\n")
    given = [file if each == "FILE" else each for each in COMMANDS[command]]
    reading = ["--text-column", *READING[1:]] if command in ("icl select", "icl preview") else READING
    found = fewshot(*command.split(), *given, *reading)
    assert found.code == 0, found.stderr
    told = found.stdout + found.stderr
    assert ("read as" in told) == (not file.endswith(".xlsx"))
    wrong = fewshot(*command.split(), *given, *reading[:1], "문희", *reading[2:])
    assert (wrong.code, "문의" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["tasks", "show", "sentiment-ko", "--text", "문의"], "--text 문의: that is said of a file"),
        (["tasks", "show", "사본.csv", "--sheet", "문의"], "is not an .xlsx file"),
        (["tasks", "show", "사본.xlsx", "--encoding", "cp949"], "is not a file of text"),
        (["tasks", "show", "사본.csv", "--encoding", "klingon"], "no encoding of that name"),
        (["tasks", "show", "사본.xlsx", "--sheet", "문희"], "Did you mean '문의'"),
        (["compare", "-t", "sentiment-ko", "--label", "분류"], "--label 분류: that is said of a file"),
        (["classic", "predict", "사본.xls", "--support", "사본.csv", *READING, *PROBE], "save it as .xlsx or .csv"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_cannot_be_read_so_is_one_clear_line(
    folder: Path, fewshot: Callable[..., Any], given: list[str], message: str
) -> None:
    Path("사본.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    found = fewshot(*given)
    assert (found.code, message in found.stderr) == (2, True), found.stderr


def test_columns_are_remembered_by_runs_comparisons_and_predictors(folder: Path, fewshot: Callable[..., Any]) -> None:
    assert fewshot("classic", "run", "-t", "사본.csv", *PROBE, *SMALL, *READING, "--run-dir", "one").code == 0
    (run,) = Path("one").iterdir()
    assert "사본" in run.name
    assert fewshot("classic", "run", "--resume", run).code == 0
    assert fewshot("compare", "-t", "사본.csv", "-l", "nn", *SMALL, *READING, "--run-dir", "two").code == 0
    (compared,) = Path("two").iterdir()
    assert fewshot("compare", "--resume", compared).code == 0
    assert fewshot("report", compared, "-o", "report.html").code == 0
    page = Path("report.html").read_text()
    assert "사본" in page
    assert "texts are not shown" not in page
    assert fewshot("recommend", "사본.csv", *READING, "-l", "tfidf", "--budget", "0.2").code == 0
    found = fewshot("predict", "사본.xlsx", "--from", "사본-predictor")
    assert [json.loads(line)["문의"] for line in found.stdout.splitlines()] == [text for text, _ in ROWS]


HOSTILE = ["=1+1", "+82 10", "-5", "@SUM(A1)", "\ttab", "줄\n바꿈", '"quoted", text', "\x07bell"]
#: Columns of the input, the answer's names among them.
INPUT = [{"id": f"a{at}", "문의": text, "label": "old", "메모": HOSTILE[at]} for at, (text, _) in enumerate(ROWS)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".xlsx", ".CSV"])
def test_labels_stand_beside_the_columns_of_the_input(folder: Path, fewshot: Callable[..., Any], suffix: str) -> None:
    rows = [*INPUT, {"id": "b", "문의": "", "label": "", "메모": None, "더": {"a": [1]}}]
    Path("new.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    output = Path(f"out{suffix}")
    found = fewshot("classic", "predict", "new.jsonl", "--support", "사본.csv", *READING, *PROBE, "-o", output)
    assert found.code == 0, found.stderr
    assert "input label" in found.stderr
    written = _read(output)
    assert [str(row["row"]) for row in written] == [str(at) for at in range(1, 8)]
    assert [row["id"] for row in written] == [row["id"] for row in rows]
    assert [row["문의"] or "" for row in written] == [row["문의"] for row in rows]
    assert [row["input label"] or "" for row in written] == [row["label"] for row in rows]
    assert [row["label"] for row in written[:-1]] == [label for _, label in ROWS]
    assert all(0 < float(row["probability"]) <= 1 for row in written[:-1])
    assert [row["status"] for row in written] == ["ok"] * 6 + ["empty"]
    notes = [row["메모"] for row in written[:6]]
    quoted = suffix.lower() == ".csv"
    assert notes == [f"'{note}" if quoted and note[0] in "=+-@\t" else note for note in HOSTILE[:6]]


def _read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix.lower() == ".csv":
        return list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    sheet = openpyxl.load_workbook(path).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}
    header, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_workbook_holds_no_control_characters(folder: Path, fewshot: Callable[..., Any]) -> None:
    Path("new.jsonl").write_text(json.dumps({"문의": "환불 \x07 되나요"}))
    given = ["new.jsonl", "--support", "사본.csv", *READING, *PROBE, "-o", "out.xlsx"]
    assert fewshot("classic", "predict", *given).code == 0
    assert _read(Path("out.xlsx"))[0]["문의"] == "환불 \ufffd 되나요"


@pytest.mark.parametrize("suffix", [".xls", ".tsv", ".parquet", ".ods"])
def test_another_format_is_refused_before_anything_is_read(fewshot: Callable[..., Any], suffix: str) -> None:
    found = fewshot("predict", "none.csv", "--from", "nowhere", "-o", f"out{suffix}")
    assert (found.code, "written as .jsonl, .csv or .xlsx" in found.stderr) == (2, True)


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "utf-8-sig"])
def test_stdin_has_the_encoding_that_is_named(folder: Path, fewshot: Callable[..., Any], encoding: str) -> None:
    given = ["classic", "predict", "-", "--support", "사본.xlsx", *READING, *PROBE]
    text = "환불 되나요\n배송 되나요\n"
    found = fewshot(*given, "--encoding", encoding, stdin=text.encode(encoding))
    assert [json.loads(line)["label"] for line in found.stdout.splitlines()] == ["환불", "배송"]
    if encoding == "cp949":
        assert (
            "stdin:1: not UTF-8; name its encoding with --encoding" in fewshot(*given, stdin=text.encode()[1:]).stderr
        )
