"""New texts of every kind of task, labelled row by row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.kinds.brackets import read_in
from evals.labeller import Labeller
from evals.learner import BaseLearner, Context
from evals.types import Answer, Example, Label, Problem, TaskInfo
from fewshot.cli.inputs import read_texts
from fewshot.cli.labelled import write_predictions
from fewshot.core.errors import UsageError

SUPPORT = {
    "pairs.csv": "text,text_pair,label\nrain,wet ground,yes\nrain,clear sky,no\nsnow,cold ground,yes\nsnow,a day,no\n",
    "labels.csv": "text,labels\nwarm soup and rice,food\nsoup from a kind waiter,food;host\na kind waiter,host\nso,;\n",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in SUPPORT.items():
        Path(name).write_text(text)
    return tmp_path


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.promise(122)
def test_new_pairs_are_labelled_by_both_texts(here: Path, fewshot: Callable[..., Any]) -> None:
    Path("new.csv").write_text("text,text_pair\nrain,ground that is wet\nrain,a sky\n")
    done = fewshot(
        "classic", "predict", "new.csv", "--support", "pairs.csv", "-a", "prototypes", "--encoder", "lexical"
    )
    assert [line["label"] for line in lines(done.stdout)] == ["yes", "no"]
    assert [line["text_pair"] for line in lines(done.stdout)] == ["ground that is wet", "a sky"]


@pytest.mark.promise(122)
def test_a_pair_without_its_second_text_is_named(here: Path, fewshot: Callable[..., Any]) -> None:
    Path("new.csv").write_text("text,text_pair\nrain,wet\n")
    Path("bare.csv").write_text("text\nrain\nsnow\n")
    done = fewshot("classic", "predict", "bare.csv", "--support", "pairs.csv", "-a", "probe", "--encoder", "lexical")
    assert (done.code, "row 1 has no 'text_pair'" in done.stderr) == (2, True)


@pytest.mark.promise(122)
@pytest.mark.parametrize("output", ["labels.jsonl", "out.csv"])
def test_new_texts_get_several_labels(here: Path, fewshot: Callable[..., Any], output: str) -> None:
    Path("new.txt").write_text("soup from a kind waiter\n\nrice soup\n")
    options = ["--support", "labels.csv", "-a", "probe", "--encoder", "lexical", "-o", output]
    assert fewshot("classic", "predict", "new.txt", *options).code == 0
    if output.endswith(".csv"):
        with Path(output).open(newline="") as file:
            assert [row["label"] for row in csv.DictReader(file)] == ["food|host", "", "food"]
    else:
        assert [line["label"] for line in lines(Path(output).read_text())] == [["food", "host"], None, ["food"]]


class Capitals(BaseLearner):
    """Tags every capital letter."""

    name = "capitals"
    kinds = ("tagging",)

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        return [Answer(tuple("B-X" if t.isupper() else "O" for t in q.fields["tokens"])) for q in problem.queries]


@pytest.mark.promise(122)
def test_new_texts_are_tagged_in_brackets_and_one_by_one(tmp_path: Path) -> None:
    info = TaskInfo("caps", "en", "tagging", fields=("tokens",))
    support = [Example("s", "a B", ("O", "O", "B-X"), {"tokens": ["a", " ", "B"]})]
    labeller = Labeller(Capitals(), info, (Label("X", "X"),), support)
    text = "see Q and [R]"
    write_predictions(labeller, read_texts("-", io.BytesIO(f"{text}\n".encode())), tmp_path / "out.jsonl")
    (found,) = lines((tmp_path / "out.jsonl").read_text())
    assert found["entities"] == [
        {"type": "X", "start": 4, "end": 5, "text": "Q"},
        {"type": "X", "start": 11, "end": 12, "text": "R"},
    ]
    assert found["label"] == "see Q[X] and [R[X]]"
    assert [entity.start for entity in read_in(found["label"], text)] == [4, 11]


@pytest.mark.parametrize(
    ("tokens", "given", "cut"),
    [
        (["a", " ", "B"], None, ["Q", "x", " ", "y"]),
        (["ab", "B"], None, ["Qx", "y"]),
        (["ab", "B"], "Q x y", ["Q", "x", "y"]),
        (["ab", "B"], ["Qx", "y"], ["Qx", "y"]),
    ],
)
def test_new_texts_are_cut_as_the_support_is(tokens: list[str], given: Any, cut: list[str]) -> None:
    info = TaskInfo("caps", "en", "tagging", fields=("tokens",))
    support = [Example("s", "x", ("O",) * (len(tokens) - 1) + ("B-X",), {"tokens": tokens})]
    labeller = Labeller(Capitals(), info, (Label("X", "X"),), support)
    assert labeller.query("Qx y", {} if given is None else {"tokens": given}).fields["tokens"] == cut


def test_nothing_to_show_is_told() -> None:
    info = TaskInfo("x", "en", "classification")
    with pytest.raises(UsageError, match="only the class a to be shown"):
        Labeller(Capitals(), info, (Label("a", "a"),), [Example("s", "x", "a")])
    with pytest.raises(UsageError, match="no labelled texts"):
        Labeller(Capitals(), info, (), [])
