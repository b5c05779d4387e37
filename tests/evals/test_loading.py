from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.cleaning import clean
from evals.episode import EpisodeSampler
from evals.loading import is_own, load_task
from evals.types import Example
from fewshot.core.errors import ModelUnavailable, OfflineError, TaskError, UsageError

CARD = """\
name: mood
language: en
labels:
  happy: {verbalizer: glad, aliases: ["1"]}
  sad: {verbalizer: unhappy, aliases: ["0"]}
source: {path: mood.csv}
"""


def test_a_card_beside_its_data(tmp_path: Path) -> None:
    (tmp_path / "mood.yaml").write_text(CARD)
    (tmp_path / "mood.csv").write_text("text,label\nyay,1\noh no,0\nfine,happy\n")
    task = load_task(tmp_path / "mood.yaml")
    assert [(row.text, row.label) for row in task.rows["all"]] == [
        ("yay", "happy"),
        ("oh no", "sad"),
        ("fine", "happy"),
    ]
    assert [label.verbalizer for label in task.labels] == ["glad", "unhappy"]


def test_a_label_that_is_not_on_the_card(tmp_path: Path) -> None:
    (tmp_path / "mood.yaml").write_text(CARD)
    (tmp_path / "mood.csv").write_text("text,label\nyay,2\n")
    with pytest.raises(TaskError, match=r"mood.csv:2: the label '2' is not on the card; known: happy, sad"):
        load_task(tmp_path / "mood.yaml")


def test_fewshot_data_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sentiment_ko"
    folder.mkdir()
    (folder / "all.csv").write_text("text,label\n좋다,positive\n싫다,negative\n", encoding="utf-8")
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    assert len(load_task("sentiment-ko").rows["all"]) == 2


def test_rows_that_are_nowhere_say_where_they_were_looked_for(no_data: None) -> None:
    with pytest.raises(TaskError, match="set FEWSHOT_DATA to the folder that holds a folder 'hwu64'"):
        load_task("hwu64")


def test_offline_forbids_the_hub(no_data: None) -> None:
    with pytest.raises(OfflineError, match="--offline forbids"):
        load_task("nsmc", offline=True)


def test_the_hub_path_is_real_up_to_the_network_call(no_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "intent": datasets.ClassLabel(names=["alarm", "oos", "balance"])}
    )
    calls = []

    def fake(path: str, config: str | None, *, split: str, revision: str | None) -> object:
        calls.append((path, config, split))
        rows = {"text": [f"{split} {word}" for word in "abc"], "intent": [0, 1, 2]}
        return datasets.Dataset.from_dict(rows, features=features)

    monkeypatch.setattr(datasets, "load_dataset", fake)
    task = load_task("clinc150")
    assert calls == [("clinc/clinc_oos", "plus", part) for part in ("train", "validation", "test")]
    assert [(row.text, row.label) for row in task.rows["test"]] == [("test a", "alarm"), ("test c", "balance")]


def test_no_network_is_one_clear_line(no_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ModelUnavailable, match="e9t/nsmc cannot be had"):
        load_task("nsmc")


@pytest.mark.promise(28)
@pytest.mark.promise(27)
def test_cleaning_drops_and_counts() -> None:
    def rows(part: str, *pairs: tuple[str, str]) -> tuple[Example, ...]:
        return tuple(Example(f"{part}{at}", text, label) for at, (text, label) in enumerate(pairs))

    kept, notes = clean(
        {
            "train": rows("t", ("Good", "a"), ("good ", "a"), ("bad", "b"), ("odd", "a"), (" ", "a"), ("seen", "b")),
            "test": rows("s", ("odd", "b"), ("SEEN", "b"), ("new", "a")),
        }
    )
    assert {part: [row.text for row in rows] for part, rows in kept.items()} == {
        "train": ["Good", "bad"],
        "test": ["SEEN", "new"],
    }
    assert notes == [
        "left out 1 rows without text",
        "left out 1 rows that repeat an earlier text",
        "left out 2 rows whose text stands under two labels",
        "left out 1 rows of the train part that occur among held-out rows",
    ]


def test_class_splits_must_not_overlap(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("text,label\nx,a\ny,b\nz,c\n")
    (tmp_path / "classes.json").write_text(
        json.dumps({"splits": {"01": {"train": ["a"], "valid": ["b"], "test": ["a", "c"]}}})
    )
    with pytest.raises(TaskError, match="'a' is in train and test"):
        load_task(tmp_path)


def test_ids_that_collide_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,text,label\n0,x,a\n1,y,b\n")
    (tmp_path / "test.csv").write_text("id,text,label\n0,z,a\n1,w,b\n")
    task = load_task(tmp_path)
    assert [row.id for row in task.rows["test"]] == ["test-0", "test-1"]
    assert "ids" in task.notes[0]


class TestShippedData:
    @pytest.mark.parametrize("name", ["sentiment-ko", "sentiment-en"])
    def test_sentiment_is_large_and_balanced(self, name: str, no_data: None) -> None:
        task = load_task(name)
        assert sum(map(len, task.rows.values())) >= 400
        for rows in task.rows.values():
            assert sum(row.label == "positive" for row in rows) * 2 == len(rows)
        assert not task.notes

    def test_intents_are_parallel_line_by_line(self, no_data: None) -> None:
        korean, english = load_task("intents-ko"), load_task("intents-en")
        assert [(row.id, row.label) for row in korean.rows["all"]] == [
            (row.id, row.label) for row in english.rows["all"]
        ]
        assert korean.class_splits == english.class_splits
        assert [len(names) for names in korean.class_splits["01"].values()] == [10, 10, 10]
        assert len(korean.rows["all"]) == 600
        assert not (*korean.notes, *english.notes)

    def test_korean_is_korean(self, no_data: None) -> None:
        for name in ("sentiment-ko", "intents-ko"):
            for rows in load_task(name).rows.values():
                for row in rows:
                    assert any("가" <= char <= "힣" for char in row.text), row.text


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "labels", "class_split"),
    [
        ("nsmc", 2, None),
        ("ynat", 7, None),
        ("banking77", 77, "01"),
        ("hwu64", 64, "05"),
        ("liu54", 54, "03"),
        ("sst2", 2, None),
        ("sst5", 5, None),
        ("mr", 2, None),
        ("subj", 2, None),
        ("trec", 6, None),
        ("trec[fine]", 50, None),
        ("agnews", 4, None),
        ("sib200[ko]", 7, None),
        ("parakqc[intent]", 4, None),
    ],
)
def test_real_data_gives_episodes(name: str, labels: int, class_split: str | None) -> None:
    task = load_task(name, offline=True)
    assert len(task.labels) == labels
    if name != "trec[fine]":
        episode = EpisodeSampler(task, way=2, shot=5, query=5, class_split=class_split)[0]
        assert len(episode.problem.support) == len(episode.problem.queries) == 10
        if class_split:
            held_out = task.class_splits[class_split]["test"]
            assert {label.name for label in episode.problem.labels} <= set(held_out)


@pytest.mark.data
def test_languages_of_sib200_are_aligned_by_id() -> None:
    korean, german = load_task("sib200[ko]"), load_task("sib200[de]")
    assert {row.id for row in korean.rows["test"]} == {row.id for row in german.rows["test"]}


def test_an_unknown_class_split(no_data: None) -> None:
    with pytest.raises(UsageError, match="'01'"):
        EpisodeSampler(load_task("intents-ko"), way=5, shot=1, query=1, class_split="1")
    with pytest.raises(UsageError, match="has no class splits"):
        EpisodeSampler(load_task("sentiment-ko"), way=2, shot=1, query=1, class_split="01")


@pytest.mark.promise(101)
@pytest.mark.parametrize("name", ["intents-ko", "sentiment-en", "sentiment-ko"])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_lies_in_the_working_folder_does_not_hide_a_shipped_task(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_data: None
) -> None:
    shipped = load_task(name)
    monkeypatch.chdir(tmp_path)
    if kind == "folder":
        Path(name).mkdir()
        Path(name, "all.csv").write_text("text,label\ngood one,a\nbad one,b\n", encoding="utf-8")
    else:
        Path(name).write_text("no table", encoding="utf-8")
    found = load_task(name)
    assert found.data_fingerprint == shipped.data_fingerprint
    assert found.notes == (f"{name} is the task that is shipped; ./{name} is what lies in the working folder",)
    assert (is_own(name), is_own(f"./{name}"), is_own(str(tmp_path / name))) == (False, True, True)
    if kind == "folder":
        for own in (f"./{name}", f"{name}/", str(tmp_path / name)):
            assert sorted(label.name for label in load_task(own).labels) == ["a", "b"]
    with pytest.raises(UsageError, match=rf"--text say.*{name} is a task that is shipped; \./{name} is"):
        load_task(name, text="said")


def test_a_folder_of_another_name_needs_no_separator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    Path("own", "all.csv").write_text("text,label\ngood one,a\nbad one,b\n", encoding="utf-8")
    assert (load_task("own").notes, len(load_task("own").labels)) == ((), 2)
