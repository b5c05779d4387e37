"""`fewshot compare`, with learners that need no model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

QUICK = ("--way", "3", "--shot", "1,2", "--query", "2", "-n", "6")
STUDY = """\
task: intents-en
learner: [probe:encoder=lexical]
way: 3
shot: [1, 2]
query: 2
episodes: 6
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_tables_words_and_where_the_files_are(fewshot: Callable, tmp_path: Path) -> None:
    many = ("--way", "5", "--shot", "5", "--query", "2", "-n", "30")
    done = fewshot("compare", "-t", "intents-en", "-l", "probe:encoder=lexical", *many, "--run-dir", tmp_path)
    assert done.code == 0, done.stderr
    assert "5-way 5-shot, 30 episodes" in done.stdout
    assert "probe:encoder=lexical" in done.stdout
    assert "is best with" in done.stdout
    assert "가장 높습니다" in done.stdout
    assert "files: " in done.stderr


def test_a_study_file_is_the_command(fewshot: Callable, tmp_path: Path, study: Path) -> None:
    from_file = json.loads(fewshot("compare", study, "--run-dir", tmp_path, "--json").stdout)
    said = fewshot(
        "compare", "-t", "intents-en", "-l", "probe:encoder=lexical", *QUICK, "--run-dir", tmp_path, "--json"
    )
    from_options = json.loads(said.stdout)
    assert from_file["study"] == from_options["study"]
    assert from_file["pairs"] == from_options["pairs"]
    assert from_file["manifest"] == from_options["manifest"]


def test_resume_needs_no_options_and_refuses_others(fewshot: Callable, tmp_path: Path, study: Path) -> None:
    first = fewshot("compare", study, "--run-dir", tmp_path, "--json")
    folder = next(tmp_path.glob("*-compare-*"))
    again = fewshot("compare", "--resume", folder, "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout)
    other = fewshot("compare", "--resume", folder, "-n", "7")
    assert other.code == 2
    assert "episodes: 6 -> 7" in other.stderr


def test_dry_run_tells_the_hours_and_writes_nothing(fewshot: Callable, tmp_path: Path, study: Path) -> None:
    done = fewshot("compare", study, "--run-dir", tmp_path / "runs", "--dry-run")
    assert done.code == 0, done.stderr
    assert "in all about" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_shards_make_the_whole(fewshot: Callable, tmp_path: Path, study: Path) -> None:
    for at in ("1/2", "2/2"):
        assert fewshot("compare", study, "--shard", at, "--run-dir", tmp_path / "shards").code == 0
    whole = json.loads(fewshot("compare", study, "--run-dir", tmp_path / "whole", "--json").stdout)
    fewshot("report", *(tmp_path / "shards").iterdir(), "-o", tmp_path / "merged.json")
    assert json.loads((tmp_path / "merged.json").read_text(encoding="utf-8"))["pairs"] == whole["pairs"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("-l", "icll"), 2, "icl"),
        (("-l", "probe:encodr=lexical"), 2, "encoder"),
        (("-t", "intens-en"), 2, "intents-en"),
        (("--shot", "-1"), 2, "--shot"),
        (("--shot", "one"), 2, "--shot"),
        (("--shard", "3/2"), 2, "--shard"),
        (("--shard", "half"), 2, "i/n"),
        (("--way", "99"), 2, "way"),
        (("--engine", "spark"), 2, "engine"),
        (("--device", "cdua"), 2, "cuda"),
        (("-o", "report.doc"), 2, ".html"),
        (("--resume", "nowhere"), 2, "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_requests_that_cannot_be_carried_out(
    fewshot: Callable, tmp_path: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    done = fewshot("compare", "-n", "3", "--run-dir", tmp_path / "runs", *args)
    assert done.code == code
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_study_file_and_options_together(fewshot: Callable, study: Path) -> None:
    done = fewshot("compare", study, "-n", "7")
    assert done.code == 2
    assert "--episodes" in done.stderr


def test_a_learner_without_training_classes_is_listed_as_skipped(fewshot: Callable, tmp_path: Path) -> None:
    done = fewshot("compare", "-t", "sentiment-en", "-l", "protonet:encoder=lexical", "-n", "3", "--run-dir", tmp_path)
    assert done.code == 0, done.stderr
    assert "skipped: protonet:encoder=lexical on sentiment-en" in done.stdout
    assert "train=TASK+TASK" in done.stdout


def test_a_comparison_that_is_not_finished_says_so(fewshot: Callable, tmp_path: Path, study: Path) -> None:
    fewshot("compare", study, "--shard", "1/2", "--run-dir", tmp_path)
    fewshot("report", next(tmp_path.glob("*-compare-*")), "-o", tmp_path / "half.json")
    document = json.loads((tmp_path / "half.json").read_text(encoding="utf-8"))
    assert document["notes"][0].startswith("NOT FINISHED: 5 of 10 runs are missing")


def test_two_tasks_of_one_name_are_refused(fewshot: Callable, tmp_path: Path) -> None:
    rows = "".join(f"text {at} {word},{word}\n" for at in range(8) for word in ("yes", "no"))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    files = ("-t", tmp_path / "a" / "my.csv", "-t", tmp_path / "b" / "my.csv")
    done = fewshot("compare", *files, "-l", "tfidf", "--shot", "1", "-n", "3", "--run-dir", tmp_path / "runs")
    assert done.code == 2
    assert "different names" in done.stderr
