"""`fewshot icl` with the embedded model, on very small runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fewshot.core.embedded import locate

pytestmark = pytest.mark.models

SMALL = ("--way", "2", "--shot", "1", "--query", "1", "--episodes", "2")
REQUIRED = {
    *("schema_version", "task", "learner", "model", "way", "shot", "n_episodes", "n_queries", "accuracy", "macro_f1"),
    *("chance", "non_ok_rate", "baselines", "seconds", "usage", "manifest_sha256", "run_dir"),
}


@pytest.mark.promise(16)
def test_run_prints_one_document_and_keeps_the_run(fewshot: Callable, tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    outcome = fewshot("icl", "run", "-t", "intents-en", *SMALL, "--run-dir", tmp_path, "--json", "-o", result)
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert set(document) >= REQUIRED
    assert set(document["baselines"]) == {"chance", "majority", "nn", "tfidf"}
    assert document["accuracy"]["ci95"][0] <= document["accuracy"]["mean"] <= document["accuracy"]["ci95"][1]
    assert (document["n_episodes"], document["n_queries"], document["chance"]) == (2, 4, 0.5)
    assert json.loads(result.read_text()) == document
    assert "expected:" in outcome.stderr
    assert "files:" in outcome.stderr
    run = document["run_dir"]

    shown = fewshot("runs", "show", run)
    assert "tfidf" in shown.stdout
    listed = json.loads(fewshot("runs", "ls", "--run-dir", tmp_path, "--json").stdout)
    assert [row["manifest_sha256"] for row in listed] == [document["manifest_sha256"]]

    for suffix in ("csv", "jsonl", "parquet"):
        exported = fewshot("runs", "export", run, "-o", tmp_path / f"items.{suffix}", "--learner", "main")
        assert exported.code == 0, exported.stderr
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert len(items) == 4
    assert {item["status"] for item in items} == {"ok"}

    resumed = fewshot("icl", "run", "--resume", run, "--json")
    again = json.loads(resumed.stdout)
    assert again == document
    refused = fewshot("icl", "run", "--resume", run, "--calibrate", "none")
    assert refused.code == 2
    assert "--calibrate: auto -> none" in refused.stderr


def test_dry_run_runs_nothing(fewshot: Callable, tmp_path: Path) -> None:
    outcome = fewshot("icl", "run", "-t", "intents-en", *SMALL, "--run-dir", tmp_path / "runs", "--dry-run")
    assert outcome.code == 0, outcome.stderr
    assert "expected: about" in outcome.stderr
    assert not (tmp_path / "runs").exists()


def test_korean_warns_that_the_embedded_model_is_english(fewshot: Callable, tmp_path: Path) -> None:
    outcome = fewshot("icl", "run", "-m", "smollm2", *SMALL, "--run-dir", tmp_path)
    assert outcome.code == 0, outcome.stderr
    assert "expect answers near chance" in outcome.stderr


def test_the_model_that_was_chosen_is_told_and_recorded(fewshot: Callable, tmp_path: Path) -> None:
    outcome = fewshot("icl", "run", "-t", "sentiment-ko", *SMALL, "--run-dir", tmp_path, "--json")
    assert outcome.code == 0, outcome.stderr
    chosen = "ko-mini" if locate("ko-mini") else "smollm2"
    assert json.loads(outcome.stdout)["model"] == chosen
    assert outcome.stderr.count(f"model {chosen}: ") == 1


def test_preview_shows_the_exact_prompt(fewshot: Callable) -> None:
    outcome = fewshot("icl", "preview", "-t", "intents-en", *SMALL[:6], "--text", "wake me {{7*7}} at {x}")
    assert outcome.code == 0, outcome.stderr
    assert "\nwake me {{7*7}} at {x} ->\n" in outcome.stdout
    assert "tokens to compute" in outcome.stdout


def test_predict_reads_lines_and_writes_json_lines(fewshot: Callable, tmp_path: Path) -> None:
    support = tmp_path / "support.csv"
    support.write_text("text,label\nI loved it,positive\nsuperb,positive\nI hated it,negative\nawful,negative\n")
    texts = 'a joy to watch\n{"text": "a waste of time"}\n'
    outcome = fewshot("icl", "predict", "-", "--support", support, stdin=texts)
    assert outcome.code == 0, outcome.stderr
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [line["text"] for line in lines] == ["a joy to watch", "a waste of time"]
    for line in lines:
        assert line["status"] == "ok"
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-4)


@pytest.mark.data
@pytest.mark.e2e
@pytest.mark.parametrize(("task", "extra"), [("nsmc", ()), ("sst2", ()), ("banking77", ("--split", "01"))])
def test_real_tasks(fewshot: Callable, tmp_path: Path, task: str, extra: tuple[str, ...]) -> None:
    outcome = fewshot("icl", "run", "-t", task, *extra, *SMALL, "--run-dir", tmp_path, "--json")
    assert outcome.code == 0, outcome.stderr
    assert json.loads(outcome.stdout)["n_queries"] == 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("preview", "--way", "0"), "--way 0 is too small"),
        (("preview", "--encoder", "lexcal"), "unknown encoder 'lexcal'. Did you mean 'lexical'?"),
        (("select", "--text", "x", "-k", "0"), "--count 0 is too small"),
    ],
    ids=["way-0-is-not-the-default", "encoder-that-no-selector-uses", "nothing-to-select"],
)
def test_wrong_options_are_refused(fewshot: Callable, args: tuple[str, ...], message: str) -> None:
    done = fewshot("icl", *args)
    assert done.code == 2
    assert message in " ".join(done.stderr.split())


def test_a_missing_model_folder_is_not_an_unknown_name(fewshot: Callable) -> None:
    done = fewshot("icl", "preview", "-m", "./no-such-model")
    assert done.code == 5
    assert "no model folder no-such-model" in " ".join(done.stderr.split())


@pytest.mark.promise(17)
def test_an_output_that_cannot_be_written_is_refused_before_work_starts(fewshot: Callable, tmp_path: Path) -> None:
    done = fewshot("icl", "run", "-t", "intents-en", "--run-dir", tmp_path / "runs", "-o", "out.txt")
    assert done.code == 2
    assert "-o out.txt: a result document is written as .json" in " ".join(done.stderr.split())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", [b"", b"\n \n"], ids=["no-bytes", "blank-lines"])
def test_an_empty_input_is_told(content: bytes, tmp_path: Path) -> None:
    from fewshot.cli.inputs import read_texts
    from fewshot.core.errors import TaskError

    empty = tmp_path / "empty.txt"
    empty.write_bytes(content)
    with empty.open("rb") as stdin, pytest.raises(TaskError, match="stdin: there are no texts"):
        list(read_texts("-", stdin))
    with empty.open("rb") as stdin, pytest.raises(TaskError, match=r"empty\.txt: there are no texts"):
        list(read_texts(str(empty), stdin))


def test_bad_input_leaves_earlier_predictions_alone(fewshot: Callable, tmp_path: Path) -> None:
    (tmp_path / "support.csv").write_text("text,label\ngood,a\nfine,a\nbad,b\nawful,b\n")
    (tmp_path / "labels.jsonl").write_text("kept\n")
    (tmp_path / "new.txt").write_bytes(b"\x98\xff\x81 good \xfe\n")
    where = ("--support", tmp_path / "support.csv", "-o", tmp_path / "labels.jsonl")
    outcome = fewshot("icl", "predict", tmp_path / "new.txt", *where)
    assert (outcome.code, "new.txt:1: not UTF-8" in outcome.stderr) == (2, True)
    assert (tmp_path / "labels.jsonl").read_text() == "kept\n"


@pytest.mark.promise(66)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "ko-mini was measured with 10 demonstrations: 10 of 39 are shown, drawn balanced"),
        (("--demos", "auto", "--selector", "auto"), "10 of 39 are shown, drawn balanced"),
        (("--demos", "6"), None),
        (("--demos", "all"), "and 39 are shown: its answers may be worse"),
        (("--selector", "all"), "and 39 are shown: its answers may be worse"),
    ],
)
def test_a_large_support_is_not_all_shown(
    fewshot: Callable,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    options: tuple[str, ...],
    told: str | None,
) -> None:
    from evals.loading import load_task

    (rows, *_) = load_task("sentiment-ko").rows.values()
    support = "".join(f"{json.dumps({'text': row.text, 'label': row.label})}\n" for row in rows[:39])
    (tmp_path / "support.jsonl").write_text(support)
    (tmp_path / "new.txt").write_text("정말 재미있고 감동적인 영화였어요\n너무 지루해서 시간이 아까웠다\n")
    done = fewshot("icl", "predict", tmp_path / "new.txt", "--support", tmp_path / "support.jsonl", *options)
    assert done.code == 0, done.stderr
    notes = [note for note in caplog.messages if "was measured with" in note]
    assert len(notes) == (0 if told is None else 1)
    assert told is None or told in notes[0]
    if "all" not in options:
        assert len({json.loads(line)["label"] for line in done.stdout.splitlines()}) == 2


@pytest.mark.parametrize("selector", ["facility", "vote-k:balanced=true", "dpp:query=false", "farthest", "balanced"])
def test_examples_for_whatever_text_will_come(fewshot: Callable, selector: str) -> None:
    done = fewshot(
        *("icl", "select", "-t", "intents-en", "--selector", selector, "--encoder", "lexical", "-k", "4", "--json")
    )
    assert done.code == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len({row["id"] for row in rows}) == 4
    assert {row["similarity"] for row in rows} == {None}


def test_a_selector_by_the_query_asks_for_one(fewshot: Callable) -> None:
    done = fewshot("icl", "select", "-t", "intents-en", "--selector", "bm25")
    assert done.code == 2
    assert "chooses by the query: give it one" in done.stderr
