"""What is said at the door: tasks that no learner answers, near copies that are shown and asked, labels alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.copies import shown_and_asked
from evals.types import Example, Problem, Query, TaskInfo

GOLD: dict[str, Any] = {"multilabel": ["a", "b"], "generation": "words", "tagging": ["O", "B-X"]}


def _task(folder: Path, kind: str) -> str:
    rows = [{"text": f"text {at}", "label": GOLD[kind], "tokens": ["text", str(at)]} for at in range(9)]
    (folder / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "x.yaml").write_text(f"name: x\nkind: {kind}\nsource: {{path: x.jsonl}}\n")
    return str(folder / "x.yaml")


@pytest.mark.promise(85)
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("generation", ["compare", "-l", "probe:encoder=lexical"]),
        ("tagging", ["compare", "-l", "probe:encoder=lexical", "-l", "nn"]),
        ("multilabel", ["compare", "-l", "protonet:encoder=lexical"]),
        ("generation", ["classic", "run", "-a", "prototypes", "--encoder", "lexical"]),
        ("tagging", ["classic", "run", "-a", "prototypes", "--encoder", "lexical"]),
        ("multilabel", ["classic", "run", "-a", "protonet", "--encoder", "lexical"]),
    ],
    ids=str,
)
def test_a_task_that_no_learner_answers_begins_no_run(
    tmp_path: Path, fewshot: Callable[..., Any], kind: str, command: list[str]
) -> None:
    options = ["-t", _task(tmp_path, kind), "--way", "1", "--shot", "1", "--query", "1", "-n", "2"]
    found = fewshot(*command, *options, "--run-dir", tmp_path / "out")
    assert (found.code, found.stderr.count("answers classification") > 0) == (2, True)
    assert "--resume" not in found.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.promise(86)
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("a text of some length, number 1!", True),
        ("A TEXT of some length, number\u200b 2", True),
        ("another one", False),
    ],
)
def test_near_copies_that_are_shown_and_asked_are_told(asked: str, told: bool) -> None:
    shown = Example("1", "a text of some length, number 1", "a")
    problem = Problem("p", TaskInfo("t", "en", "classification"), (), (shown,), (Query("q0", asked),))
    assert bool(shown_and_asked([problem, problem])) == told
