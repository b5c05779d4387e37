"""A comparison whose every text tries to become code, half of it in Korean."""

from __future__ import annotations

import csv
from pathlib import Path

from evals.comparison import Comparison, compare
from evals.task import Task
from evals.types import Example, Label, TaskInfo
from tests.evals.fakes import Classifier, FirstLabel

SCRIPT = "</script><script>window.hacked = 1</script>"
IMAGE = '<img src="https://evil.example/x.png" onerror="window.hacked = 2">'
LINK = '"><a href="javascript:window.hacked = 3" onmouseover="window.hacked = 4">눌러 보세요</a>'
STYLE = "</style><svg onload='window.hacked = 5'><style>@import url(https://evil.example/x.css)"
TEMPLATE = "{{ 7 * 7 }} ${7*7} <!-- --> &lt;b&gt; \x1b]0;title\x07 \u202e"
ATTACKS = (SCRIPT, IMAGE, LINK, STYLE, TEMPLATE)
PROMPTER = f"{Path(__file__).with_name('prompter.py')}:Prompter"
LABELS = (f"긍정{SCRIPT}", f"부정{IMAGE}", f"중립{LINK}")


def write_rows(path: Path) -> Path:
    """Labelled texts, each with an attack; the label stands in the text."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for at in range(45):
            label = LABELS[at % 3]
            writer.writerow([f"영화 {at}번 {label} {ATTACKS[at % 5]}", label])
    return path


def hostile_comparison(folder: Path) -> Comparison:
    """Of two tasks: one with rows in a file, and one whose name is an attack and which cannot be loaded again."""
    rows = write_rows(folder / "rows.csv")
    compare(str(rows), {PROMPTER: PROMPTER, f"배우는 것 {IMAGE}": FirstLabel()}, folder=folder / "one", **_SIZE)
    compare(_named(SCRIPT), {f"이름 {LINK}": Classifier()}, folder=folder / "two", **_SIZE)
    return Comparison.read([folder / "one", folder / "two"])


_SIZE = {"way": 3, "shot": [1, 2], "query": 2, "episodes": 6}


def _named(name: str) -> Task:
    labels = tuple(Label(f"{IMAGE}c{at}", f"class {at}") for at in range(3))
    rows = tuple(Example(f"r{at}", f"{SCRIPT} {at} {labels[at % 3].name}", labels[at % 3].name) for at in range(30))
    return Task(TaskInfo(name, "ko", "classification"), labels, {"all": rows})
