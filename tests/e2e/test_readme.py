"""The commands of the README, as a user types them, on a small file of their own."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
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


def test_own_data(tmp_path: Path) -> None:
    lines = [f"{text} {word},{label}" for word in ("indeed", "overall", "really") for text, label in ROWS]
    (tmp_path / "my.csv").write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "new.txt").write_text("what a delight\nnever again\n", encoding="utf-8")
    assert len(commands()) >= 3
    for command in commands():
        words = shlex.split(command.replace("> labels.jsonl", "-o labels.jsonl"))[1:]
        done = subprocess.run(
            [sys.executable, "-m", "fewshot", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in labels] == ["what a delight", "never again"]
    assert len(list((tmp_path / "runs").iterdir())) == 1
