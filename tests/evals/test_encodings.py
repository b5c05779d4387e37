"""Files in the encodings that people have: found out, told, and overridden."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from evals.loading import load_task
from evals.sources import read_rows
from fewshot.core.errors import TaskError, UsageError

KOREAN = ["배송이 너무 늦어요", "환불해 주세요", "주소를 바꾸고 싶어요", "정말 마음에 들어요"]
JAPANESE = ["荷物がまだ届きません", "返金してください", "住所を変更したいです", "とても気に入りました"]
CHINESE = ["包裹还没有到", "请给我退款", "我想要更改地址", "我非常喜欢这个"]
TAIWANESE = ["包裹還沒有到", "請給我退款", "我想要更改地址", "我非常喜歡這個"]
RUSSIAN = ["Заказ ещё не пришёл", "Верните деньги", "Хочу изменить адрес", "Мне очень нравится"]
FRENCH = ["Le colis n’est pas arrivé", "Remboursez-moi, s’il vous plaît", "Où est ma commande ?", "J’ai été déçu"]
POLISH = ["Gdzie jest moja przesyłka?", "Proszę o zwrot pieniędzy", "Chcę zmienić adres", "Świetna obsługa"]

#: As they are written by spreadsheet programs, editors and databases.
ENCODED = {
    "cp949": KOREAN,
    "euc_kr": KOREAN,
    "utf-8-sig": KOREAN,
    "utf-16": KOREAN,
    "utf-16-le": KOREAN,
    "utf-16-be": FRENCH,
    "utf-32": KOREAN,
    "cp932": JAPANESE,
    "euc_jp": JAPANESE,
    "gb18030": CHINESE,
    "big5": TAIWANESE,
    "cp1251": RUSSIAN,
    "cp1252": FRENCH,
    "cp1250": POLISH,
}


def written(name: str, texts: list[str]) -> str:
    """A file of texts with the labels a and b, in the form that its suffix says."""
    rows = [{"text": text, "label": "ab"[at % 2]} for at, text in enumerate(texts)]
    if "jsonl" in name:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    between = "\t" if "tsv" in name else ";" if "semicolon" in name else ","
    return "".join(between.join(f'"{cell}"' for cell in cells) + "\r\n" for cells in [rows[0], *map(dict.values, rows)])


@pytest.mark.parametrize("name", ["x.csv", "semicolon.csv", "x.tsv", "x.jsonl", "x.csv.gz"])
@pytest.mark.parametrize("encoding", ENCODED)
def test_the_encoding_is_found_out_and_told(tmp_path: Path, encoding: str, name: str) -> None:
    texts = ENCODED[encoding]
    content = written(name, texts).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    task = load_task(tmp_path / name)
    assert [row.text for row in task.rows["all"]] == texts
    assert any("read as" in note for note in task.notes) == (encoding != "utf-8-sig")


def test_an_encoding_that_is_named_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("text,label\nOlá,a\nnão,b\n".encode("cp850"))
    assert [row.values["text"] for row in read_rows(path, encoding="cp850")] == ["Olá", "não"]
    card = tmp_path / "card.yaml"
    card.write_text("name: mine\nsource: {path: x.csv, encoding: cp850}\n")
    assert [row.text for row in load_task(card).rows["all"]] == ["Olá", "não"]
    assert [row.text for row in load_task(card, encoding="latin-1").rows["all"]] != ["Olá", "não"]


@pytest.mark.parametrize(
    ("encoding", "error", "message"),
    [
        ("klingon", UsageError, "no encoding of that name"),
        ("base64", UsageError, "no encoding of that name"),
        ("ascii", TaskError, "is not ascii"),
        ("utf-8", TaskError, ":2: not UTF-8"),
        ("utf-16", TaskError, "is not utf-16"),
    ],
)
def test_an_encoding_that_does_not_fit_is_one_clear_line(
    tmp_path: Path, encoding: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("text,label\n정말 좋아요,a\n별로예요,b\n".encode("cp949"))
    with pytest.raises(error, match=message):
        list(read_rows(path, encoding=encoding))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("text;label\ngood, really;a\nbad;b\n", "semicolons"),
        ("text\tlabel\ngood, really\ta\nbad\tb\n", "tabs"),
        ("text, in full;label\ngood, really;a\nbad;b\n", "semicolons"),
        ('"text";"label"\n"good; really";"a"\n"bad\nold";"b"\n', "semicolons"),
        ("sep=|\ntext|label\ngood|a\nbad|b\n", "|"),
        ("text,label\ngood; really,a\nbad,b\n", ""),
        ("text,label\na;b,a\nc;d,b\n", ""),
    ],
)
def test_what_separates_the_cells_is_found_out_and_told(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    notes: list[str] = []
    rows = list(read_rows(path, notes.append))
    assert [row.values["label"] for row in rows] == ["a", "b"]
    assert notes == ([f"{path}: the cells are separated by {told}"] if told else [])


def test_a_row_that_does_not_fit_is_named_under_any_separator(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text;label\ngood;a\nbad;b;c\n")
    with pytest.raises(TaskError, match=":3: 3 cells, but the header has 2"):
        list(read_rows(tmp_path / "x.csv"))
