"""The commands of the README, as a user types them, on a small file of their own."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.models]

README = Path(__file__).parents[2] / "README.md"
ROWS = [
    *[(text, "positive") for text in ("I loved it", "superb acting", "a joy", "warm and funny", "so good")],
    *[(text, "negative") for text in ("I hated it", "dull plot", "a waste", "cold and boring", "so bad")],
]


def commands() -> list[str]:
    """Every `fewshot ...` line of the section on one's own data."""
    section = README.read_text(encoding="utf-8").partition("## Your own data")[2].partition("\n## ")[0]
    return re.findall(r"^(fewshot [^#\n]+)", section, flags=re.MULTILINE)


#: So little of each that it takes seconds: episodes of a run, rows of a recommendation.
LESS = {"icl run": ("--episodes", "1"), "recommend": ("--rows", "10")}


@pytest.mark.timeout(900)
def test_own_data(fewshot: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{text} {word},{label}" for word in ("indeed", "overall") for text, label in ROWS]
    Path("my.csv").write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    Path("new.txt").write_text("what a delight\nnever again\n", encoding="utf-8")
    assert {verb for verb in LESS if any(command.startswith(f"fewshot {verb}") for command in commands())} == set(LESS)
    for command in commands():
        words = shlex.split(command.replace("> labels.jsonl", "-o labels.jsonl"))[1:]
        less = [option for verb, options in LESS.items() if " ".join(words).startswith(verb) for option in options]
        done = fewshot(*words, *less)
        assert done.code == 0, f"{command}\n{done.stderr}"
    labels = [json.loads(line) for line in Path("labels.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in labels] == ["what a delight", "never again"]
    assert len(list(Path("runs").iterdir())) == 1
