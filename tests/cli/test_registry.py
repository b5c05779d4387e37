"""`fewshot registry`, and the commands on docs/registry.md in order, as a user types them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evals.images.pictures import files, picture, png, write_folder, write_zip

PAGE = (Path(__file__).parents[2] / "docs" / "registry.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def made(fewshot: Callable) -> None:
    """`r` holds two classes."""
    fewshot("registry", "create", "r", "--encoder", "lexical")
    fewshot("registry", "add", "r", "refund", "give me my money back", "I want a refund")
    fewshot("registry", "add", "r", "배송", "배송이 언제 오나요")


@pytest.mark.e2e
def test_the_commands_of_the_page_print_what_it_shows(fewshot: Callable) -> None:
    Path("more.csv").write_text("text,label\n주문을 취소할래요,취소\n사이즈를 바꾸고 싶어요,교환\n", encoding="utf-8")
    Path("new.txt").write_text("환불이요\n배송이요\n", encoding="utf-8")
    Path("labelled.csv").write_text("text,label\n환불할래요,환불\n배송 언제,배송\n날씨 어때,잡담\n", encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    printed = []
    for command in re.findall(r"^fewshot (.+)$", PAGE, flags=re.MULTILINE):
        done = fewshot(*shlex.split(command))
        assert done.code == 0, f"{command}\n{done.stderr}"
        printed.append("\n".join(line.rstrip() for line in done.stdout.splitlines() if line.strip()))
    assert shown.rstrip() in printed


FILES = {
    "labels.csv": "text,label\nwhere is it,parcel\n,parcel\nwhen does it come,parcel\nnew card,card\n",
    "columns.csv": "words,what\nwhere is it,parcel\nwhen does it come,parcel\nnew card,card\n",
    "labels.jsonl": '{"text": "where is it", "label": "parcel"}\n{"text": "new card", "label": "card"}\n',
    "lines.txt": "where is it\n\nwhen does it come\n",
}


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("args", "stdin", "classes"),
    [
        (["--from", "labels.csv"], None, {"parcel": 2, "card": 1}),
        (["--from", "columns.csv", "--text", "words", "--label", "what"], None, {"parcel": 2, "card": 1}),
        (["--from", "labels.jsonl"], None, {"parcel": 1, "card": 1}),
        (["--from", "-"], FILES["labels.jsonl"], {"parcel": 1, "card": 1}),
        (["parcel", "--from", "lines.txt"], None, {"parcel": 2}),
        (["parcel", "--from", "-"], FILES["lines.txt"], {"parcel": 2}),
        (["parcel", "--from", "labels.csv"], None, {"parcel": 3}),
        (["parcel", "one more", "--from", "lines.txt"], None, {"parcel": 3}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_texts_come_from_arguments_files_and_stdin(
    fewshot: Callable, args: list[str], stdin: str | None, classes: dict[str, int]
) -> None:
    for name, content in FILES.items():
        Path(name).write_text(content, encoding="utf-8")
    done = fewshot("registry", "add", "r", *args, stdin=stdin)
    assert done.code == 0, done.stderr
    document = json.loads(fewshot("registry", "ls", "r", "--json").stdout)
    assert {each["name"]: each["items"] for each in document["classes"]} == {"refund": 2, "배송": 1, **classes}


@pytest.mark.usefixtures("made")
def test_many_texts_are_asked_at_once_as_json(fewshot: Callable) -> None:
    asked = ["a refund please", "", "배송 언제", "?!", "good morning"]
    options = ("-k", "1", "--threshold", "0.2", "--json")
    document = json.loads(fewshot("registry", "query", "r", "--from", "-", *options, stdin="\n".join(asked)).stdout)
    assert [each["text"] for each in document] == asked, "every row of the input has its row"
    assert [each["label"] for each in document] == ["refund", None, "배송", None, None]
    assert [len(each["nearest"]) for each in document] == [1, 0, 1, 0, 1]


@pytest.mark.usefixtures("made")
def test_a_threshold_is_found_and_set(fewshot: Callable) -> None:
    rows = ["a refund please,refund", "배송 언제,배송", "my money,Refund", "good morning,chat", "날씨,chat", "?!,chat"]
    Path("labelled.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    found = json.loads(fewshot("registry", "tune", "r", "--from", "labelled.csv", "--json").stdout)
    assert {key: found[key] for key in ("known", "right", "others", "rejected")} == {
        "known": 3,
        "right": 3,
        "others": 2,
        "rejected": 2,
    }
    assert json.loads(fewshot("registry", "ls", "r", "--json").stdout)["threshold"] is None, (
        "it was not asked to be set"
    )
    done = fewshot("registry", "tune", "r", "--from", "labelled.csv", "--set")
    assert "accepts 3 of 3 texts" in done.stdout
    assert json.loads(fewshot("registry", "ls", "r", "--json").stdout)["threshold"] == found["threshold"]
    asked = json.loads(fewshot("registry", "query", "r", "my money", "good morning", "--json").stdout)
    assert [each["label"] for each in asked] == ["refund", None]
    Path("known.csv").write_text("text,label\nmy money,refund\n", encoding="utf-8")
    refused = fewshot("registry", "tune", "r", "--from", "known.csv")
    assert (refused.code, "there are no items of other classes" in refused.stderr) == (2, True)


@pytest.mark.promise(145)
@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["query", "r"], "there is nothing to ask"),
        (["query", "r", "a", "-k", "0"], "k 0"),
        (["query", "r", "a", "--threshold", "2"], "threshold 2"),
        (["query", "none", "a"], "fewshot registry create none"),
        (["query", "other.csv", "a"], "no registry of prototypes"),
        (["query", "empty", "a"], "holds no class"),
        (["add", "r"], "there are no texts"),
        (["add", "r", "x"], "there are no texts"),
        (["add", "r", "x", "--from", "blank.txt"], "blank.txt: there are no texts in it"),
        (["add", "r", "x", "--from", "none.csv"], "none.csv: no such file"),
        (["add", "r", "--from", "lines.txt"], "row 1: there is no column 'label'"),
        (["add", "r", "--from", "gap.csv"], "row 2: the column 'label' is empty"),
        (["add", "r", "refund", "a"], "registered already: 'refund'"),
        (["add", "r", "a\nb", "a"], "line break"),
        (["add", "r", "", "a"], "nothing of it can be seen"),
        (["add", "r", "x", "!!"], "its vector is zero"),
        (["update", "r", "refunds", "a"], "Did you mean 'refund'?"),
        (["update", "r", "refund", "a", "--rule", "median"], "unknown rule 'median'"),
        (["remove", "r", "x"], "unknown class 'x'"),
        (["merge", "r", "refund", "refund"], "each once"),
        (["history", "r", "x"], "unknown class 'x'"),
        (["create", "r"], "is there already"),
        (["create", "new", "--encoder", "lexicla"], "lexical"),
        (["create", "new", "--threshold", "nan"], "threshold nan"),
    ],
    ids=lambda value: " ".join(value)[:30].replace("\n", "/") if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(fewshot: Callable, args: list[str], told: str) -> None:
    Path("other.csv").write_text("text,label\n", encoding="utf-8")
    Path("blank.txt").write_text("\n \n", encoding="utf-8")
    Path("lines.txt").write_text("one\n", encoding="utf-8")
    Path("gap.csv").write_text("text,label\na,x\nb,\n", encoding="utf-8")
    fewshot("registry", "create", "empty", "--encoder", "lexical")
    before = fewshot("registry", "history", "r", "--json").stdout
    done = fewshot("registry", *args)
    assert (done.code, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert fewshot("registry", "history", "r", "--json").stdout == before
    assert not Path("new").exists()


@pytest.fixture
def pets(fewshot: Callable) -> None:
    """`r` holds three classes of images."""
    fewshot("registry", "create", "r", "--encoder", "pixels:size=12")
    write_folder(Path("pets"), files(3))
    assert fewshot("registry", "add", "r", "--from", "pets").code == 0


@pytest.mark.usefixtures("pets")
def test_images_are_classes_by_their_folders_and_asked_by_their_names(fewshot: Callable) -> None:
    new = {f"new{kind}.png": png(picture(kind, 20)) for kind in range(3)}
    write_folder(Path(), new)
    write_zip(Path("new.zip"), {"a/" + name: content for name, content in new.items()} | {"a/torn.png": b"no image"})
    for asked, names in (([*new], [*new]), (["--from", "new.zip"], [*(f"a/{name}" for name in new), "a/torn.png"])):
        document = json.loads(fewshot("registry", "query", "r", *asked, "-k", 1, "--json").stdout)
        assert [each["text"] for each in document] == names
        assert [each["label"] for each in document][:3] == ["class0", "class1", "class2"]
        assert [len(each["nearest"]) for each in document] == [1, 1, 1, 0][: len(names)]
    assert fewshot("registry", "update", "r", "class1", "new1.png").code == 0
    assert json.loads(fewshot("registry", "ls", "r", "--json").stdout)["classes"][1]["items"] == 5


@pytest.mark.promise(145)
@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["add", "r", "x", "a text"], "a text: cannot be read"),
        (["add", "r", "x", "blank.png"], "the encoder reads nothing in item 1 (blank.png)"),
        (["add", "r", "--from", "flat"], "the folder of an image is its class"),
        (["add", "texts", "x", "--from", "pets"], "encoder lexical reads texts"),
        (["query", "r", "--from", "lines.txt"], "images are read here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_images_for_texts_and_texts_for_images_are_refused(fewshot: Callable, args: list[str], told: str) -> None:
    fewshot("registry", "create", "texts", "--encoder", "lexical")
    write_folder(Path(), {"blank.png": png(picture(0) * 0), "flat/1.png": png(picture(0)), "lines.txt": b"a line\n"})
    done = fewshot("registry", *args)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert told in done.stderr
