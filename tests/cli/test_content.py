"""What an example is: its text and its declared fields, in every kind of task and everywhere in the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.content import content_key, whole_text
from evals.copies import shown_and_asked
from evals.episode import EpisodeSampler
from evals.loading import load_task
from evals.metatrain import without_texts
from evals.task import Task
from evals.training_record import content_keys
from evals.types import Example, Query
from fewshot.core.errors import TaskError
from fewshot.core.hashing import text_key
from icl.selectors.base import Pool

PAIR: dict[str, Any] = {"template": "pair", "fields": ["text_pair"]}
TAGS: dict[str, Any] = {"kind": "tagging", "source": {"label": "tags"}}


def loaded(folder: Path, card: dict[str, Any], rows: list[dict[str, Any]]) -> Task:
    (folder / "toy.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    source = {"path": "toy.jsonl", **card.get("source", {})}
    (folder / "toy.yaml").write_text(json.dumps({"name": "toy", "language": "en", **card, "source": source}))
    return load_task(folder / "toy.yaml")


def pair(text: str, other: str, label: str) -> dict[str, Any]:
    return {"text": text, "text_pair": other, "label": label}


@pytest.mark.promise(115)
@pytest.mark.parametrize(
    ("card", "rows", "kept"),
    [
        (PAIR, [pair("rain", "wet", "yes"), pair("rain", "dry", "no"), pair("snow", "wet", "yes")], 3),
        (PAIR, [pair("rain", "wet", "yes"), pair("RAIN", "wet ", "yes"), pair("rain", "dry", "no")], 2),
        (PAIR, [pair("rain", "wet", "yes"), pair("rain", "wet", "no"), pair("a", "b", "no"), pair("a", "c", "yes")], 2),
        (PAIR, [pair("a b", "c", "yes"), pair("a", "b c", "no")], 2),
        (PAIR, [pair("rain", "wet", "yes"), pair("wet", "rain", "no")], 2),
        ({}, [pair("rain", "wet", "yes"), pair("rain", "dry", "yes"), pair("snow", "wet", "no")], 2),
        ({"fields": ["n"]}, [{"text": "a", "n": 1, "label": "x"}, {"text": "a", "n": 2, "label": "y"}], 2),
        (
            {"kind": "multilabel", "fields": ["text_pair"], "source": {"label": "labels"}},
            [{"text": "a", "text_pair": "b", "labels": ["x"]}, {"text": "a", "text_pair": "c", "labels": ["x", "y"]}],
            2,
        ),
        (
            {"kind": "generation", "fields": ["text_pair"]},
            [pair("a", "b", "one answer"), pair("a", "c", "another answer")],
            2,
        ),
        (
            TAGS,
            [
                {"text": "ab", "tokens": ["a", "b"], "tags": ["B-X", "O"]},
                {"text": "ab", "tokens": ["ab"], "tags": ["B-X"]},
                {"text": "cd", "tokens": ["cd"], "tags": ["B-X"]},
            ],
            1,
        ),
    ],
    ids=[
        "a premise with two labels",
        "a doubled pair",
        "a pair under two labels",
        "where a text ends",
        "the order of the texts",
        "an undeclared column",
        "a number",
        "multi-label pairs",
        "generation with a second text",
        "tokens are the text again",
    ],
)
def test_rows_are_the_same_by_text_and_declared_fields(
    tmp_path: Path, card: dict[str, Any], rows: list[dict[str, Any]], kept: int
) -> None:
    assert len(loaded(tmp_path, card, rows).rows["all"]) == kept


@pytest.mark.data
@pytest.mark.parametrize(("name", "rows"), [("klue-nli", 3000), ("klue-sts", 519), ("klue-ner", 5000)])
def test_no_row_of_the_shipped_pairs_and_tags_is_lost(name: str, rows: int) -> None:
    assert sum(map(len, load_task(name).rows.values())) == rows


@pytest.mark.parametrize("name", ["klue-nli", "kornli"])
def test_inference_in_korean_is_read_from_a_folder_and_from_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A premise stands with several hypotheses, and the hub calls both by their names and numbers the labels."""
    datasets = pytest.importorskip("datasets")
    relations = ["entailment", "neutral", "contradiction"]
    rows = [("비가 온다", f"{at}번 가설", relation) for at, relation in enumerate(relations * 2)]
    folder = tmp_path / name.replace("-", "_")
    folder.mkdir()
    table = "".join(f"{json.dumps(dict(zip(('text', 'text_pair', 'label'), row, strict=True)))}\n" for row in rows)
    (folder / "test.jsonl").write_text(table)
    columns = dict(zip(("premise", "hypothesis", "label"), map(list, zip(*rows, strict=True)), strict=True))
    data = datasets.Dataset.from_dict(columns).cast_column("label", datasets.ClassLabel(names=relations))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: data)

    def read() -> list[tuple[str, str, object]]:
        return [(row.text, row.fields["text_pair"], row.label) for row in load_task(name).rows["test"]]

    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    assert read() == rows
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path / "empty"))
    assert sorted(read()) == sorted(rows)
    assert [label.verbalizer for label in load_task(name).labels] == ["함의", "중립", "모순"]


@pytest.mark.promise(115)
@pytest.mark.parametrize(
    ("card", "rows", "told"),
    [
        (PAIR, [pair("a", "b", "x"), pair("a", "b", "y")], "no labelled rows; left out 2 rows whose text stands"),
        ({}, [{"text": "", "label": "x"}], "no labelled rows; left out 1 rows without text"),
        (
            {"kind": "multilabel"},
            [{"text": "a", "label": ["x"]}, {"text": "a", "label": ["y"]}],
            "no labelled rows; left out 2 rows whose text stands under two labels",
        ),
        ({"kind": "generation"}, [{"text": " ", "label": "x"}], "no labelled rows; left out 1 rows without text"),
        (
            TAGS,
            [{"text": "a", "tokens": ["a"], "tags": ["O"]}, {"text": "a", "tokens": ["a"], "tags": ["B-X"]}],
            "no labelled rows; left out 2 rows whose text stands under two labels",
        ),
    ],
    ids=["pairs", "classification", "multilabel", "generation", "tagging"],
)
def test_a_task_that_ends_up_empty_says_what_was_left_out(
    tmp_path: Path, card: dict[str, Any], rows: list[dict[str, Any]], told: str
) -> None:
    with pytest.raises(TaskError, match=told):
        loaded(tmp_path, card, rows)


def test_without_fields_the_key_is_that_of_the_text() -> None:
    for text in ("Rain  falls", "비가 온다", ""):
        assert content_key(Query("q", text)) == text_key(text)
        assert whole_text(Query("q", text)) == text


@pytest.mark.promise(115)
def test_episodes_pools_and_leak_guards_take_pairs_for_what_they_are(tmp_path: Path) -> None:
    """One premise stands with every hypothesis: all of these are other examples."""
    task = loaded(tmp_path, PAIR, [pair("rain", f"{label} {n}", label) for label in ("no", "yes") for n in range(8)])
    sampler = EpisodeSampler.of(task, 2, 2, 3)
    problem = sampler[0].problem
    assert len(problem.support) == 4
    assert len(problem.queries) == 6
    assert shown_and_asked([problem]) is None

    pool = Pool(problem.support)
    twin = replace(problem.support[1], id="another")
    assert pool.twins(Query(twin.id, twin.text, twin.fields)) == {1}
    assert not pool.twins(problem.queries[0])
    assert len(set(pool.texts)) == 4

    assert len(content_keys(sampler.rows())) == 16
    half = replace(task, rows={"all": task.rows["all"][::2]})
    assert without_texts(task, half)[1] == 8


def test_a_field_that_no_one_declared_makes_no_other_example() -> None:
    row = Example("1", "rain", "yes", {"source": "a"})
    task = load_task("sentiment-ko")
    noted = replace(task, rows={"all": (row,)})
    other = replace(task, rows={"all": (replace(row, fields={"source": "b"}),)})
    assert without_texts(noted, other)[1] == 1


@pytest.mark.promise(115)
@pytest.mark.parametrize(
    ("card", "rows", "counts"),
    [
        (TAGS, [{"text": "a b", "tokens": ["a", "b"], "tags": ["B-X", "B-Y"]}], {"X": 1, "Y": 1}),
        (
            {"kind": "multilabel"},
            [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": ["x"]}, {"text": "c", "label": []}],
            {"x": 2, "y": 1},
        ),
        ({}, [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}], {"x": 1, "y": 1}),
        ({"kind": "generation"}, [{"text": "a", "label": "some words"}], {}),
    ],
    ids=["tagging", "multilabel", "classification", "generation"],
)
def test_tasks_show_counts_the_rows_of_every_label(
    fewshot: Callable, tmp_path: Path, card: dict[str, Any], rows: list[dict[str, Any]], counts: dict[str, int]
) -> None:
    loaded(tmp_path, card, rows)
    shown = fewshot("tasks", "show", tmp_path / "toy.yaml", "--json")
    assert {label["name"]: label["rows"] for label in json.loads(shown.stdout)["labels"]} == counts
    assert fewshot("tasks", "show", tmp_path / "toy.yaml").code == 0


def test_tasks_check_tells_what_was_left_out_where_too_little_is_left(fewshot: Callable, tmp_path: Path) -> None:
    rows = [pair("a", "b", "x"), pair("a", "b", "y"), pair("c", "d", "x"), pair("e", "f", "y")]
    loaded(tmp_path, PAIR, rows)
    done = fewshot("tasks", "check", tmp_path / "toy.yaml")
    assert done.code == 2
    assert "left out 2 rows whose text stands under two labels" in done.stdout
