"""What a command writes: never over what it reads, whole or not at all, one row of answers per row of the input."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from fewshot.cli.app import app

ROWS = "text,label\ngood,a\nfine,a\nlovely,a\nbad,b\nawful,b\ndreadful,b\n"
FAST = ("-a", "tfidf")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with labelled rows, a card over them, and more texts than are asked together."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "card.yaml").write_text("name: card\nsource:\n  path: rows.csv\n")
    (tmp_path / "many.csv").write_text("text\n" + "".join(f"good number {n}\n" for n in range(150)))
    (tmp_path / "link.csv").symlink_to("many.csv")
    os.link("many.csv", "hard.csv")
    (tmp_path / "folder").symlink_to(tmp_path)
    return tmp_path


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.promise(74)
@pytest.mark.parametrize(
    ("command", "output"),
    [
        (("classic", "predict", "many.csv", "--support", "rows.csv", *FAST), "many.csv"),
        (("classic", "predict", "many.csv", "--support", "rows.csv", *FAST), "./many.csv"),
        (("classic", "predict", "many.csv", "--support", "rows.csv", *FAST), "folder/many.csv"),
        (("classic", "predict", "many.csv", "--support", "rows.csv", *FAST), "link.csv"),
        (("classic", "predict", "link.csv", "--support", "rows.csv", *FAST), "many.csv"),
        (("classic", "predict", "many.csv", "--support", "rows.csv", *FAST), "hard.csv"),
        (("classic", "predict", "many.csv", "--support", "rows.csv", *FAST), "rows.csv"),
        (("classic", "predict", "many.csv", "--support", "card.yaml", *FAST), "card.yaml"),
        (("classic", "predict", "many.csv", "--support", "card.yaml", *FAST), "rows.csv"),
        (("icl", "predict", "many.csv", "--support", "rows.csv", "-m", "ko-mini"), "many.csv"),
        (("compare", "-t", "rows.csv", "-l", "tfidf", "-n", "2", "--shot", "1", "--query", "1"), "rows.csv"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else value,
)
def test_an_output_that_is_an_input_is_refused(
    fewshot: Callable, here: Path, command: tuple[str, ...], output: str
) -> None:
    before = _content(here)
    done = fewshot(*command, "-o", output)
    assert done.code == 2, done.stderr
    assert f"-o {Path(output)} would write over the input" in " ".join(done.stderr.split())
    assert _content(here) == before


@pytest.mark.promise(74)
@pytest.mark.parametrize("part", ["predictor.json", "support.jsonl", "recommendation.json"])
def test_a_predictor_is_not_written_over_by_its_own_answers(fewshot: Callable, here: Path, part: str) -> None:
    made = fewshot("recommend", "rows.csv", "-l", "tfidf", "-o", "mine")
    assert made.code == 0, made.stderr
    before = _content(here / "mine")
    done = fewshot("predict", "--from", "mine", "many.csv", "-o", f"mine/{part}")
    assert (done.code, "would write over the input mine" in " ".join(done.stderr.split())) == (2, True)
    assert _content(here / "mine") == before


@pytest.mark.promise(74)
@pytest.mark.parametrize("name", ["run.json", "comparison.json"])
def test_a_report_is_no_part_of_its_run(fewshot: Callable, here: Path, name: str) -> None:
    few = ("--way", "2", "--shot", "1", "--query", "1", "-n", "2")
    assert fewshot("classic", "run", "-t", "rows.csv", *FAST, *few, "--run-dir", "runs").code == 0
    (run,) = (here / "runs").iterdir()
    (run / "comparison.json").write_text("{}") if name == "comparison.json" else None
    before = (run / name).read_bytes()
    done = fewshot("report", run, "-o", run / name)
    assert done.code == 2, done.stderr
    assert (run / name).read_bytes() == before


def test_a_report_beside_its_run_is_written_again(fewshot: Callable, here: Path) -> None:
    few = ("--way", "2", "--shot", "1", "--query", "1", "-n", "2")
    assert fewshot("classic", "run", "-t", "rows.csv", *FAST, *few, "--run-dir", "runs").code == 0
    (run,) = (here / "runs").iterdir()
    for _ in range(2):
        assert fewshot("report", run, "-o", run / "report.md").code == 0


@pytest.mark.parametrize("output", ["folder", "rows.csv/labels.jsonl"])
def test_an_output_that_can_be_no_file_is_told_before_work_starts(fewshot: Callable, here: Path, output: str) -> None:
    done = fewshot("classic", "predict", "many.csv", "--support", "rows.csv", *FAST, "-o", output)
    assert (done.code, "folder" in done.stderr) == (2, True)


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, each in getattr(command, "commands", {}).items():
        yield from _commands(each, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


def test_every_command_that_writes_where_it_is_told_compares_its_paths() -> None:
    from fewshot.cli.outputs import GuardedCommand

    writing = {path for path, command in _commands(typer.main.get_command(app)) if isinstance(command, GuardedCommand)}
    assert writing == {path for path, _ in _commands(typer.main.get_command(app))}


@pytest.mark.promise(17)
@pytest.mark.parametrize("failing", [0, 1, 2], ids=["first-batch", "second-batch", "last-batch"])
def test_predictions_are_written_whole_or_not_at_all(
    fewshot: Callable, here: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    from evals.labeller import Labeller
    from fewshot.core.errors import FewshotError

    asked, answer = [], Labeller.answer

    def interrupted(self: Any, queries: Any) -> Any:
        asked.append(queries)
        if len(asked) > failing:
            raise FewshotError("the model went away")
        return answer(self, queries)

    monkeypatch.setattr(Labeller, "answer", interrupted)
    (here / "labels.jsonl").write_text("earlier\n")
    before = _content(here)
    done = fewshot("classic", "predict", "many.csv", "--support", "rows.csv", *FAST, "-o", "labels.jsonl")
    assert (done.code, "the model went away" in done.stderr) == (1, True)
    assert _content(here) == before


@pytest.mark.parametrize("output", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_answers_can_be_written_to_an_open_file(here: Path, output: str) -> None:
    import subprocess
    import sys

    (here / "two.txt").write_text("good\nbad\n")
    command = ("classic", "predict", "two.txt", "--support", "rows.csv", *FAST, "-o", output)
    with (here / "labels.jsonl").open("w") as file:
        file.write("earlier\n")
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "fewshot", *command], stdout=file, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 0, done.stderr
    assert len((here / "labels.jsonl").read_text().splitlines()) == 3


# One row of the input, one row of the output.

TXT = "good\n\nawful\n \t\nlovely\n\n"
JSONL = '{"text": "good"}\n\n{"text": ""}\n{"text": "bad"}\n{"text": null}\n'
CSV = 'text,n\ngood,1\n,2\n"two\n\nlines",3\n"  ",4\nbad,5\n'


@pytest.mark.promise(75)
@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("new.txt", TXT, {1: "ok", 2: "empty", 3: "ok", 4: "empty", 5: "ok", 6: "empty"}),
        ("-", TXT, {1: "ok", 2: "empty", 3: "ok", 4: "empty", 5: "ok", 6: "empty"}),
        ("new.txt", "\n\n\ngood", {1: "empty", 2: "empty", 3: "empty", 4: "ok"}),
        ("new.txt", "good\r\n\r\nbad\r\n", {1: "ok", 2: "empty", 3: "ok"}),
        ("new.txt", "good\r\rbad\rgood\r\nbad", {1: "ok", 2: "empty", 3: "ok", 4: "ok", 5: "ok"}),
        ("-", "good\r\rbad\rgood\r\nbad", {1: "ok", 2: "empty", 3: "ok", 4: "ok", 5: "ok"}),
        ("new.txt", "\ufeff\ufeff\ngood\n", {1: "empty", 2: "ok"}),
        ("-", '\ufeff\ufeff{"text": "good"}\n', {1: "ok"}),
        ("new.jsonl", JSONL, {1: "ok", 3: "empty", 4: "ok", 5: "empty"}),
        ("-", '{"text": "good"}\n\n{"text": ""}\n', {1: "ok", 2: "empty", 3: "empty"}),
        ("new.csv", CSV, {1: "ok", 2: "empty", 3: "ok", 4: "empty", 5: "ok"}),
        (
            "new.csv",
            "text\n" + "good\n" * 70 + '""\n' + "bad\n",
            {**dict.fromkeys(range(1, 71), "ok"), 71: "empty", 72: "ok"},
        ),
        ("new.csv", 'text\n""\n" "\n', {1: "empty", 2: "empty"}),
    ],
    ids=[
        "txt",
        "stdin",
        "txt-from-blank",
        "crlf",
        "cr",
        "stdin-cr",
        "marks",
        "stdin-marks",
        "jsonl",
        "stdin-json",
        "csv",
        "csv-many",
        "csv-all-blank",
    ],
)
@pytest.mark.parametrize("verb", ["predict", "classic predict"])
def test_every_row_has_one_answer_and_its_number(
    fewshot: Callable, here: Path, verb: str, name: str, content: str, rows: dict[int, str]
) -> None:
    if verb == "predict":
        assert fewshot("recommend", "rows.csv", "-l", "tfidf", "-o", "mine").code == 0
    with_what = ("--from", "mine") if verb == "predict" else ("--support", "rows.csv", *FAST)
    if name != "-":
        Path(name).write_bytes(content.encode())
    done = fewshot(*verb.split(), name, *with_what, stdin=content if name == "-" else None)
    assert done.code == (0 if "ok" in rows.values() else 1), done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["row"]: line["status"] for line in lines} == rows
    assert [line["row"] for line in lines] == sorted(rows)
    assert all((line["label"] is None) == (line["status"] == "empty") for line in lines)


@pytest.mark.promise(75)
def test_prompting_skips_blank_lines_and_keeps_their_numbers(fewshot: Callable, here: Path) -> None:
    (here / "new.txt").write_text(TXT)
    done = fewshot("icl", "predict", "new.txt", "--support", "rows.csv", "-m", "ko-mini")
    assert done.code == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["row"], line["status"]) for line in lines] == [
        *((1, "ok"), (2, "empty"), (3, "ok"), (4, "empty"), (5, "ok"), (6, "empty"))
    ]


@pytest.mark.promise(84)
@pytest.mark.parametrize("name", ["new.txt", "new.jsonl", "-"])
def test_json_that_is_nested_too_deeply_is_one_line(fewshot: Callable, here: Path, name: str) -> None:
    content = '{"text": "good"}\n{"text": ' + "[" * 100_000
    if name != "-":
        Path(name).write_text(content)
    done = fewshot(
        *("classic", "predict", name, "--support", "rows.csv", *FAST), stdin=content if name == "-" else None
    )
    assert (done.code, ":2: not valid JSON: nested too deeply" in done.stderr) == (2, True)
