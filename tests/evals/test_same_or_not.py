"""Texts and labels that look different and are the same; rows lost or invented; the habits of files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from evals.card import read_card
from evals.loading import load_task
from evals.sources import read_rows
from fewshot.core.errors import FewshotError, TaskError
from fewshot.core.hashing import text_key

ROWS = ["good day", "bad day", "warm soup", "cold soup"]


def _csv(path: Path, labels: list[str]) -> Path:
    path.write_text("text,label\n" + "".join(f"text number {n},{x}\n" for n, x in enumerate(labels)), encoding="utf-8")
    return path


@pytest.mark.promise(81)
@pytest.mark.parametrize(
    "copy",
    [
        "soft\u00ad soup",
        "soft\u200b soup",
        "\u2067soft soup",
        "soft\ufe0f soup",
        "ｓｏｆｔ　ｓｏｕｐ",
        "SOFT\u00a0soup",
        "\u3164soft soup",
    ],
    ids=["soft hyphen", "zero width", "direction", "variation", "full width", "no-break", "filler"],
)
def test_texts_that_look_the_same_are_copies(tmp_path: Path, copy: str) -> None:
    assert text_key(copy) == "soft soup"
    path = tmp_path / "x.csv"
    path.write_text(f"text,label\nsoft soup,a\n{copy},a\nother,b\n", encoding="utf-8")
    task = load_task(path)
    assert len(task.rows["all"]) == 2
    assert task.notes == ("left out 1 rows that repeat an earlier text",)


@pytest.mark.promise(81)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("glad", "glad\u200b"),
        ("glad", "Glad"),
        ("so so", "so  so"),
        ("１", "1"),
        ("1", "1.0"),
        ("a_b", "a-b"),
        ("fin", "ﬁn"),
    ],
)
def test_labels_that_read_alike_are_refused_by_name(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(TaskError, match="read alike: ") as caught:
        load_task(_csv(tmp_path / "x.csv", [one, other, "sad", one, other]))
    assert all(ascii(name) in str(caught.value) or repr(name) in str(caught.value) for name in (one, other))
    assert ("different classes" in str(caught.value)) == (one == "a_b")


@pytest.mark.promise(81)
def test_numbers_that_are_equal_are_one_label_and_told(tmp_path: Path) -> None:
    rows = [f'{{"text":"text {n}","label":{written}}}' for n, written in enumerate(("1", "1.0", "0"))]
    (tmp_path / "x.jsonl").write_text("\n".join(rows))
    task = load_task(tmp_path / "x.jsonl")
    assert [label.name for label in task.labels] == ["0", "1"]
    assert task.notes == ("the label '1' is written as 1 and 1.0",)


@pytest.mark.promise(82)
@pytest.mark.parametrize("gap", ["NaN", "null", '""', '"\\u200b"', "Infinity", "1" * 4000, "1" * 6000])
def test_a_gap_is_no_label(tmp_path: Path, gap: str) -> None:
    (tmp_path / "x.jsonl").write_text(f'{{"text":"a","label":1}}\n{{"text":"b","label":{gap}}}\n')
    with pytest.raises(TaskError, match=r"x.jsonl:2: "):
        load_task(tmp_path / "x.jsonl")


@pytest.mark.promise(82)
def test_parquet_numbers_are_whole_and_gaps_are_errors(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    parquet.write_table(pa.table({"text": ROWS, "label": [0.0, 1.0, 1.0, 0.0]}), tmp_path / "x.parquet")
    assert [label.name for label in load_task(tmp_path / "x.parquet").labels] == ["0", "1"]
    parquet.write_table(pa.table({"text": ROWS, "label": [0.0, 1.0, float("nan"), 0.0]}), tmp_path / "x.parquet")
    with pytest.raises(TaskError, match="row 3: column 'label' is empty"):
        load_task(tmp_path / "x.parquet")


REFUSED = {
    "two strays": ('text,label\na,x\n"b,x\nc,y\n"d,y\n', ":3: a quote opens here and closes within a cell of line 5"),
    "never closed": ('text,label\n"b,x\nc,y\n', ":2: a quote opens here and is never closed, up to line 3"),
    "in the last cell": ('text,label\na,"x\nb,y\n', ":2: a quote opens here and is never closed"),
    "over two lines of TSV": ('text\tlabel\na\tx\n"b\nc"\ty\n', ":3: 1 cells (a quote is a character here"),
    "over a tab": ('text\tlabel\na\tx\n"b\tc"\ty\n', ":3: 3 cells (a quote is a character here"),
    "closed by a word": ('text,label\n"a,x\nb "so" c,y\n', ":2: a quote opens here and closes within a cell of line 3"),
}


@pytest.mark.promise(82)
@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_quote_that_swallows_rows_is_refused_at_the_line_where_it_opens(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / ("x.tsv" if "\t" in content else "x.csv")
    path.write_text(content)
    with pytest.raises(TaskError) as caught:
        load_task(path)
    assert message in str(caught.value)


@pytest.mark.promise(82)
@pytest.mark.parametrize(
    ("name", "content", "text", "note"),
    [
        ("x.csv", 'text,label\na,x\n"b,x\nc",y\nd,y\n', "b,x\nc", "x.csv:3: a quote opens here, and the 2 lines"),
        ("x.csv", 'text,label\na,x\n"b" c,x\nd,y\n', "b c", "x.csv:3: a cell goes on behind its closing quote"),
        ("x.csv", 'text,label\na,x\n"b\nc",x\nd,y\n', "b\nc", ""),
        ("x.tsv", 'text\tlabel\n"a"\t"x"\n"b ""c"""\t"x"\n"d"\t"y"\n', 'b "c"', "the cells stand in quotes"),
        (
            "x.tsv",
            'text\tlabel\na\tx\n"b"\tx\nd\ty\n',
            '"b"',
            "x.tsv:3: a cell stands in quotes, which are kept in 1 rows",
        ),
        ("x.tsv", 'text\tlabel\na\tx\n"b ""c"""\tx\n"d"\ty\n', '"b ""c"""', "which are kept in 2 rows"),
        ("x.tsv", 'text\tlabel\na\tx\n"b" c\tx\n"d\ty\n', '"b" c', ""),
        (
            "x.tsv",
            'text\tlabel\n""\tx\nb\t"x"\nd\ty\n',
            "b",
            "x.tsv:2: a cell stands in quotes, which are kept in 2 rows",
        ),
    ],
)
def test_suspicious_quotes_are_told(tmp_path: Path, name: str, content: str, text: str, note: str) -> None:
    (tmp_path / name).write_text(content)
    told: list[str] = []
    assert [row.values["text"] for row in read_rows(tmp_path / name, told.append)][1] == text
    assert (len(told) == 1 and note in told[0]) if note else not told


@pytest.mark.promise(82)
@pytest.mark.parametrize(
    ("column", "values", "parts"),
    [
        ("split", ("train", "test"), {"train": 2, "test": 2}),
        ("Split", ("TRAIN", "dev"), {"train": 2, "valid": 2}),
        ("partition", ("training", "validation"), {"train": 2, "valid": 2}),
        ("split", ("train", "later"), {"all": 4}),
        ("notes", ("train", "test"), {"all": 4}),
    ],
)
def test_a_column_of_parts_divides_one_file(
    tmp_path: Path, column: str, values: tuple[str, str], parts: dict[str, int]
) -> None:
    rows = [f"{text},{'ab'[at % 2]},{values[at // 2]}" for at, text in enumerate(ROWS)]
    (tmp_path / "x.csv").write_text("\n".join([f"text,label,{column}", *rows]))
    task = load_task(tmp_path / "x.csv")
    assert {part: len(rows) for part, rows in task.rows.items()} == parts
    assert bool(task.notes) == (column != "notes")


PLAIN = b"text,label\ngood,a\nbad,b\n"


@pytest.mark.promise(83)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mac.csv", PLAIN.replace(b"\n", b"\r")),
        ("mixed.csv", b"text,label\rgood,a\r\nbad,b\n"),
        ("mac.tsv", PLAIN.replace(b"\n", b"\r").replace(b",", b"\t")),
        ("UPPER.CSV", PLAIN),
        ("x.csv.gz", gzip.compress(PLAIN, mtime=0)),
        ("X.CSV.GZ", gzip.compress(PLAIN, mtime=0)),
        ("x.tsv.gz", gzip.compress(PLAIN.replace(b",", b"\t"), mtime=0)),
        ("boms.csv", b"\xef\xbb\xbf" * 2 + PLAIN),
        ("mark.csv", PLAIN.replace(b"label", b"\xe2\x80\x8blabel")),
        ("X.JSONL", b'{"text":"good","label":"a"}\r{"text":"bad","label":"b"}'),
    ],
)
def test_habits_of_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert [(row.text, row.label) for row in load_task(tmp_path / name).rows["all"]] == [("good", "a"), ("bad", "b")]


@pytest.mark.promise(84)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.yaml", b"name: " + b"[" * 3000),
        ("x.yaml", b"name: " + b"[" * 3000 + b"]" * 3000),
        ("x.jsonl", b'{"text":' + b"[" * 100_000),
        ("x.jsonl", b'{"text":"a","label":' + b"1" * 5000 + b"}"),
        ("x.csv", b'text,label\n"' + b"a\n" * 2_100_000 + b'",b\n'),
        ("x.csv", b"text,label\n\x00\x00,a\n"),
        ("x.csv", b"text,text\na,b\n"),
        ("x.csv", b",".join(b"c%d" % n for n in range(100_000)) + b"\n" + b"," * 99_999),
    ],
    ids=["open YAML", "deep YAML", "deep JSON", "digits", "long cell", "NUL", "column twice", "many columns"],
)
def test_hostile_input_is_one_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FewshotError) as caught:
        load_task(tmp_path / name)
    assert caught.value.exit_code == 2


@pytest.mark.promise(84)
@pytest.mark.parametrize("name", ["card.yaml", "x.csv"])
@pytest.mark.parametrize("what", ["device", "pipe", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / name
    if what == "device":
        path.symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(TaskError):
        read_card(path) if name.endswith(".yaml") else list(read_rows(path))


@pytest.mark.promise(84)
def test_a_card_that_reads_outside_of_its_folder_says_so(tmp_path: Path, no_data: None) -> None:
    folder = tmp_path / "cards"
    folder.mkdir()
    _csv(tmp_path / "rows.csv", ["a", "b"])
    (folder / "x.yaml").write_text("name: x\nsource: {path: ../rows.csv}\n")
    assert "outside of its own folder" in load_task(folder / "x.yaml").notes[0]


def test_an_empty_task_says_where_its_rows_went(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\na,x\na,y\nA,x\n")
    with pytest.raises(TaskError, match="no labelled rows; left out 3 rows whose text stands under two labels"):
        load_task(tmp_path / "x.csv")
