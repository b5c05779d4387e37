from __future__ import annotations

import gzip
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.loading import load_task
from evals.sources import MAX_LINE, find_files, read_rows, text_of
from fewshot.core.errors import FewshotError, TaskError

GOOD = {
    "plain.csv": b"text,label\ngood,a\nbad,b\n",
    "bom.csv": b"\xef\xbb\xbftext,label\ngood,a\nbad,b\n",
    "crlf.csv": b"text,label\r\ngood,a\r\nbad,b\r\n",
    "table.tsv": b"text\tlabel\ngood\ta\nbad\tb\n",
    "lines.jsonl": b'{"text":"good","label":"a"}\n\n{"text":"bad","label":"b"}',
    "bom.jsonl": b'\xef\xbb\xbf{"text":"good","label":"a"}\r\n{"text":"bad","label":"b"}\r\n',
    "zipped.jsonl.gz": gzip.compress(b'{"text":"good","label":"a"}\n{"text":"bad","label":"b"}\n'),
}


@pytest.mark.parametrize(("name", "content"), GOOD.items(), ids=GOOD)
def test_formats(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert [dict(row.values) for row in read_rows(path)] == [
        {"text": "good", "label": "a"},
        {"text": "bad", "label": "b"},
    ]


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    parquet.write_table(pa.table({"text": ["good"], "label": ["NA"]}), tmp_path / "x.parquet")
    assert [dict(row.values) for row in read_rows(tmp_path / "x.parquet")] == [{"text": "good", "label": "NA"}]


def test_csv_fields_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('text,label\n"a, ""b""\nc",x\n', encoding="utf-8")
    assert next(read_rows(path)).values["text"] == 'a, "b"\nc'


def test_in_tsv_a_quote_is_a_character(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text('text\tlabel\n"half open\tx\n', encoding="utf-8")
    assert next(read_rows(path)).values["text"] == '"half open'


BAD = {
    "missing": ("x.csv", None, "no such file"),
    "empty": ("x.jsonl", b"", "holds no rows"),
    "header only": ("x.csv", b"text,label\n", "holds no rows"),
    "unknown suffix": ("x.docx", b"", "unknown kind of file"),
    "no encoding fits": ("x.csv", b"text,label\n\x98\x81\xff\xff,a\n", ":2: not UTF-8"),
    "two encodings": ("x.csv", "text,label\n정말 좋다,a\n".encode() + "별로다,b\n".encode("cp949"), ":3: not UTF-8"),
    "damaged UTF-8": ("x.csv", "text,label\n정말 좋다,a\n".encode() + b"\xec\xa2,b\n", ":3: not UTF-8"),
    "UTF-16 of a header": ("x.csv", "text,label\n".encode("utf-16"), "holds no rows"),
    "old Excel": ("x.xls", b"", "save it as .xlsx or .csv"),
    "no workbook": ("x.xlsx", b"PK", "not a readable .xlsx file"),
    "broken JSON": ("x.jsonl", b'{"text":"a","label":"b"}\n{"text":\n', ":2: not valid JSON"),
    "JSON list": ("x.jsonl", b"[1]\n", ":1: a JSON object is expected"),
    "too many cells": ("x.csv", b"text,label\na,b,c\n", ":2: 3 cells, but the header has 2"),
    "same column twice": ("x.csv", b"text,text\na,b\n", ":1: two columns"),
    "gzip cut short": ("x.jsonl.gz", gzip.compress(b'{"text":"a","label":"b"}\n' * 99)[:40], "cut short"),
    "gzip that is none": ("x.jsonl.gz", b"not zipped", "cannot be read"),
    "no text column": ("x.csv", b"review,label\na,b\n", "there is no column 'text'; the columns are review, label"),
    "no label column": ("x.csv", b"text,class\na,b\n", "the columns are text, class"),
    "empty label": ("x.csv", b"text,label\na,b\nc,\n", ":3: column 'label' is empty"),
    "one class": ("x.csv", b"text,label\na,b\nc,b\n", "only the class 'b'"),
    "lone surrogate": ("x.jsonl", b'{"text":"a\\ud800","label":"b"}\n', ":1: column 'text' holds half a character"),
    "text is a number": ("x.jsonl", b'{"text":5,"label":"b"}\n', ":1: column 'text' holds int"),
    "a list of labels": ("x.jsonl", b'{"text":"a","label":["b"]}\n', "one label per row"),
    "a line of 10 MB": ("x.csv", b"text,label\n" + b"a" * 10_000_000 + b",b\n", ":2: the line is longer than"),
}


@pytest.mark.promise(23)
@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_bad_files_are_one_clear_line(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FewshotError) as caught:
        load_task(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value) or "only the class" in str(caught.value)


def test_the_longest_line_still_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    text = "가" * (MAX_LINE // 4)
    path.write_text(json.dumps({"text": text}, ensure_ascii=False), encoding="utf-8")
    assert text_of(next(read_rows(path)), "text") == text


@pytest.mark.promise(23)
@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_a_task_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("x.csv", "x.tsv", "x.jsonl", "x.jsonl.gz"):
        path = folder / name
        path.write_bytes(content)
        try:
            list(read_rows(path))
        except TaskError as error:
            assert str(path) in str(error)


def test_files_of_a_folder_by_part(tmp_path: Path) -> None:
    for name in ("train.csv", "dev.jsonl", "test.jsonl.gz", "train.10samples.csv", "ko.train.csv", "README.md"):
        (tmp_path / name).write_text("")
    assert {part: path.name for part, path in find_files(tmp_path).items()} == {
        "train": "train.csv",
        "valid": "dev.jsonl",
        "test": "test.jsonl.gz",
    }
    assert {part: path.name for part, path in find_files(tmp_path, "ko").items()} == {"train": "ko.train.csv"}


def test_decomposed_hangul_is_kept_as_text_and_composed_in_labels(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "긍정")
    path = tmp_path / "x.csv"
    path.write_text(f"text,label\n{nfd} 하나,{nfd}\n둘,부정\n", encoding="utf-8")
    task = load_task(path)
    assert task.rows["all"][0].text == f"{nfd} 하나"
    assert {label.name for label in task.labels} == {"긍정", "부정"}
    assert task.info.language == "ko"
