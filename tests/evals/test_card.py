from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from evals.card import find_card, packaged_cards, read_card, verbalizer_of
from fewshot.core.errors import TaskError, UsageError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "card.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.promise(25)
def test_labels_are_always_strings(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, "name: x\nlabels:\n  yes: 예\n  no: 아니요\n  012: null\n  NA: ~\n"))
    assert {name: label.verbalizer for name, label in card.labels.items()} == {
        "yes": "예",
        "no": "아니요",
        "012": "null",
        "NA": "~",
    }


ERRORS = {
    "unknown key": ("name: x\nlanguag: ko\n", ":2: languag: is not a known key"),
    "unknown key below": ("name: x\nsource:\n  paht: y\n", ":3: source.paht"),
    "missing name": ("language: ko\n", ":1: name: field required"),
    "wrong kind": ("name: x\nkind: clasification\n", ":2: kind"),
    "duplicate label": ("name: x\nlabels:\n  a: b\n  a: c\n", ":4: the key 'a' is given twice"),
    "labels equal in another Unicode form": (
        f"name: x\nlabels:\n  긍정: a\n  {unicodedata.normalize('NFD', '긍정')}: b\n",
        ":4: the labels '긍정' and",
    ),
    "alias of another label": ("name: x\nlabels:\n  a: {aliases: [B]}\n  b: x\n", "are the same after normalisation"),
    "not a mapping": ("- a\n", ":1: a card is a mapping"),
    "labels as a list": ("name: x\nlabels: [a, b]\n", ":2: labels"),
}


@pytest.mark.promise(25)
@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TaskError) as caught:
        read_card(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_variants_change_the_card_and_its_name(tmp_path: Path) -> None:
    text = (
        "name: x\nlanguage: en\nsource: {text: t}\nlabels: {a: A}\ndefault_variant: one\n"
        "variants:\n  one: {}\n  two: {language: ko, source: {label: l}, labels: {b: B}}\n"
    )
    path = write(tmp_path, text)
    assert read_card(path).name == "x[one]"
    two = read_card(path, "two")
    assert (two.name, two.language, two.source.text, two.source.label, list(two.labels)) == (
        "x[two]",
        "ko",
        "t",
        "l",
        ["b"],
    )
    with pytest.raises(UsageError, match="'two'"):
        read_card(path, "twoo")


@pytest.mark.parametrize("name", packaged_cards())
def test_every_shipped_card_is_valid(name: str) -> None:
    path, variant = find_card(name)
    card = read_card(path, variant)
    assert card.name.partition("[")[0] == name
    assert card.title
    for variant in card.variants:
        read_card(path, variant)


@pytest.mark.promise(34)
@pytest.mark.parametrize("name", ["sentiment-kr", "sib200[ko", "../secret"])
def test_an_unknown_task_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="unknown task"):
        find_card(name)


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(UsageError, match="Did you mean 'sentiment-ko'"):
        find_card("sentiment-kr")


@pytest.mark.parametrize(
    ("name", "words"),
    [("card_payment_fee_charged", "card payment fee charged"), ("iot/hue_light-off", "iot hue light off"), ("_", "_")],
)
def test_verbalizers_are_plain_words(name: str, words: str) -> None:
    assert verbalizer_of(name) == words
