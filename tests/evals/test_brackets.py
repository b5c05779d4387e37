"""Entities in brackets: what is written is read again, and what cannot be read is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.kinds.brackets import Entity, OtherText, WrongBrackets, read, read_in, written
from evals.loading import load_task
from evals.tagged import entities_of, tags_of
from fewshot.core.errors import TaskError, UsageError

SENTENCE, TEXT = "이순신[PER] 장군이 한산도[LOC]에서", "이순신 장군이 한산도에서"
FOUND = [Entity("PER", 0, 3), Entity("LOC", 8, 11)]


@pytest.mark.promise(117)
@pytest.mark.parametrize(
    ("sentence", "text", "entities"),
    [
        (SENTENCE, TEXT, FOUND),
        ("no entity here", "no entity here", []),
        ("{서울 시립 대학교}[ORG]에서", "서울 시립 대학교에서", [Entity("ORG", 0, 9)]),
        ("박씨의 딸(32[QT])", "박씨의 딸(32)", [Entity("QT", 6, 8)]),
        ("a[X]b[Y] c", "ab c", [Entity("X", 0, 1), Entity("Y", 1, 2)]),
        ("제{3}[QT]회", "제3회", [Entity("QT", 1, 2)]),
        ("3.5%[QT] 올랐다", "3.5% 올랐다", [Entity("QT", 0, 4)]),
        ("'Seoul[LOC]'", "'Seoul'", [Entity("LOC", 1, 6)]),
    ],
)
def test_sentences_and_their_entities(sentence: str, text: str, entities: list[Entity]) -> None:
    assert read(sentence) == (text, entities)
    assert read_in(sentence, text) == entities
    assert written(text, entities) == sentence


@pytest.mark.promise(117)
@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("이순신[PER 장군", "a tag does not close"),
        ("이순신PER] 장군", "a tag does not open"),
        ("이순신[PER][LOC] 장군", "tags that overlap"),
        ("[PER] 장군", "nothing to be tagged"),
        ("{이순신 {장군}[A]}[B]", "entities overlap"),
        ("{이순신 장군", "a brace does not close"),
        ("{이순신} 장군", "without its tag"),
        ("이순신}[PER]", "without its pair"),
        ("이순신[] 장군", "a tag does not close"),
        ("{이순신[PER] 장군}[PER]", "without its pair"),
    ],
)
def test_brackets_that_mean_nothing(sentence: str, message: str) -> None:
    with pytest.raises(WrongBrackets, match=message):
        read(sentence)
    with pytest.raises(WrongBrackets, match=message):
        read_in(sentence, "이순신 장군")


@pytest.mark.parametrize(
    ("sentence", "text", "entities"),
    [
        ("[서울=뉴시스] 김씨[PS]는", "[서울=뉴시스] 김씨는", [Entity("PS", 9, 11)]),
        ("{a} b[X]", "{a} b", [Entity("X", 4, 5)]),
        ("a[X] is literal", "a[X] is literal", []),
        ("  이순신[PER]   장군이 한산도[LOC]에서 ", TEXT, FOUND),
    ],
)
def test_a_text_that_is_known_may_hold_brackets_itself(sentence: str, text: str, entities: list[Entity]) -> None:
    assert read_in(sentence, text) == entities


@pytest.mark.parametrize(
    "sentence", ["이순신[PER] 장군", "이순신[PER] 장군이 한산도에서!", "원균[PER] 장군이 한산도[LOC]에서", ""]
)
def test_another_text_is_refused(sentence: str) -> None:
    with pytest.raises(OtherText, match="another text is written"):
        read_in(sentence, TEXT)


def test_types_that_nobody_knows_are_no_tags() -> None:
    assert read_in(SENTENCE, TEXT, {"PER": "person", "LOC": "place"}.get) == [
        Entity("person", 0, 3),
        Entity("place", 8, 11),
    ]
    with pytest.raises(WrongBrackets):
        read_in("이순신[HERO] 장군이 한산도에서", TEXT, {"PER": "person"}.get)


@st.composite
def tagged(draw: st.DrawFn) -> tuple[str, list[Entity]]:
    text = draw(st.text("ab이 .(\"'", max_size=20))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    places = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if text[a:b].strip() == text[a:b]]
    return text, [Entity(draw(st.sampled_from(["X", "Y"])), a, b) for a, b in places]


@given(tagged())
def test_what_is_written_is_read_again(found: tuple[str, list[Entity]]) -> None:
    text, entities = found
    sentence = written(text, entities)
    assert read_in(sentence, text) == entities
    assert read(sentence) == (text, entities)


@pytest.mark.parametrize(
    ("text", "tokens", "tags", "entities"),
    [
        ("New York wins", ["New", "York", "wins"], ("B-L", "I-L", "O"), [Entity("L", 0, 8)]),
        ("이순신이", list("이순신이"), ("B-P", "I-P", "I-P", "O"), [Entity("P", 0, 3)]),
        ("a b", ["a", " ", "b"], ("B-P", "O", "B-P"), [Entity("P", 0, 1), Entity("P", 2, 3)]),
    ],
)
def test_tags_and_entities_are_two_forms_of_one_thing(
    text: str, tokens: list[str], tags: tuple[str, ...], entities: list[Entity]
) -> None:
    assert entities_of(text, tokens, tags) == (text, entities)
    assert tags_of(text, tokens, entities) == tags


def test_a_token_that_an_entity_touches_belongs_to_it() -> None:
    assert tags_of("이순신이 왔다", ["이순신이", "왔다"], [Entity("PER", 0, 3)]) == ("B-PER", "O")


def loaded(folder: Path, rows: list[dict[str, Any]], name: str = "x.jsonl") -> Any:
    (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return load_task(folder / name)


@pytest.mark.promise(118)
@pytest.mark.parametrize(
    ("row", "text", "tokens", "tags"),
    [
        ({"tagged": "a[X] b"}, "a b", ["a", " ", "b"], ("B-X", "O", "O")),
        ({"text": "a b", "tagged": "a[X] b"}, "a b", ["a", " ", "b"], ("B-X", "O", "O")),
        ({"text": "a b", "tagged": "a b"}, "a b", ["a", " ", "b"], ("O", "O", "O")),
        ({"text": "a b", "tags": "B-X O"}, "a b", ["a", "b"], ("B-X", "O")),
        ({"text": "a b", "tokens": "a b", "tags": "B-X O"}, "a b", ["a", "b"], ("B-X", "O")),
        ({"tokens": ["a", "b"], "tags": ["B-X", "O"]}, "a b", ["a", "b"], ("B-X", "O")),
        ({"tokens": ["a", " ", "b"], "tags": ["B-X", "O", "O"]}, "a b", ["a", " ", "b"], ("B-X", "O", "O")),
    ],
    ids=["brackets alone", "brackets", "no entity", "words", "tokens as text", "tokens", "characters"],
)
def test_tagged_rows_in_every_form(
    tmp_path: Path, row: dict[str, Any], text: str, tokens: list[str], tags: tuple[str, ...]
) -> None:
    task = loaded(tmp_path, [row])
    assert task.info.kind == "tagging"
    (found,) = task.rows["all"]
    assert (found.text, found.fields["tokens"], found.label) == (text, tokens, tags)


@pytest.mark.promise(118)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tagged": "이순신[PER 장군"}, "x.jsonl:2: a tag does not close"),
        ({"tagged": "{이순신 {장군}[A]}[B]"}, "x.jsonl:2: entities overlap"),
        ({"text": "이순신", "tagged": "원균[PER]"}, "x.jsonl:2: another text is written"),
        ({"text": "a b", "tags": "B-X"}, "x.jsonl:2: column 'tokens' must be a list of 1 tokens"),
        ({"text": "a b", "tags": "O I-X"}, "x.jsonl:2: column 'tags' holds 'I-X' after 'O'"),
        ({"text": "a b", "tags": "O X"}, "x.jsonl:2: column 'tags' holds 'X'"),
        ({"text": "a", "labels": ""}, "x.jsonl:2: column 'labels' is empty; where no label holds, write | alone"),
        (
            {"text": "a", "labels": "x;y|z"},
            "x.jsonl:2: column 'labels' holds 'x;y|z': | and ; could both stand",
        ),
        ({"text": "a", "labels": None}, "x.jsonl:2: column 'labels' is empty"),
    ],
)
def test_rows_that_cannot_be_read_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    good = {"tagged": "a[X]", "tags": "B-X", "labels": "x"}
    first = {"text": "a", **{name: good[name] for name in row if name != "text"}}
    with pytest.raises(TaskError) as caught:
        loaded(tmp_path, [first, row])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "separator", "golds"),
    [
        (["x|y", "y"], None, [("x", "y"), ("y",)]),
        (["x;y", "y;"], None, [("x", "y"), ("y",)]),
        (["x,y", "y|z"], ",", [("x", "y"), ("y|z",)]),
        (["x", "|"], None, [("x",), ()]),
    ],
)
def test_labels_of_one_cell(
    tmp_path: Path, cells: list[str], separator: str | None, golds: list[tuple[str, ...]]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,labels\n" + "".join(f'text {at},"{cell}"\n' for at, cell in enumerate(cells)))
    task = load_task(path, separator=separator)
    assert task.info.kind == "multilabel"
    assert [row.label for row in task.rows["all"]] == golds
    assert "the column 'labels' makes it a multilabel task" in task.notes[0]


@pytest.mark.promise(118)
def test_a_separator_inside_of_a_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\nsome words,a/b\n")
    card = "name: x\nkind: multilabel\nlabels: {{a/b: a or b, c: c}}\nsource: {{path: x.csv{}}}\n"
    (tmp_path / "x.yaml").write_text(card.format(", separator: /"))
    with pytest.raises(TaskError, match="the separator '/' stands in the label 'a/b'"):
        load_task(tmp_path / "x.yaml")
    (tmp_path / "x.yaml").write_text(card.format(""))
    assert load_task(tmp_path / "x.yaml").rows["all"][0].label == ("a/b",)


@pytest.mark.parametrize(
    ("header", "kind", "fields"),
    [
        ("text,label", "classification", ()),
        ("text,text_pair,label", "classification", ("text_pair",)),
        ("text,labels", "multilabel", ()),
        ("text,label,labels", "classification", ()),
    ],
)
def test_the_kind_goes_by_the_columns(tmp_path: Path, header: str, kind: str, fields: tuple[str, ...]) -> None:
    names = header.split(",")
    rows = [",".join(f"{name} {at}" if name.startswith("text") else "xy"[at] for name in names) for at in (0, 1)]
    (tmp_path / "x.csv").write_text("\n".join([header, *rows]))
    info = load_task(tmp_path / "x.csv").info
    assert (info.kind, info.fields) == (kind, fields)


def test_kind_is_said_of_a_file_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--kind says what a file without a card holds"):
        load_task("sentiment-ko", kind="tagging")
    with pytest.raises(UsageError, match="unknown kind 'tags'"):
        load_task(tmp_path, kind="tags")
