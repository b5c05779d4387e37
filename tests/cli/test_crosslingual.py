"""`fewshot icl crosslingual`: the matrix, its document, and what it refuses. No model is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = ("--encoder", "lexical", "--centre", "none", "--way", "3", "--shot", "2", "--query", "1", "-n", "4")


@pytest.fixture
def crosslingual(fewshot: Callable, no_data: None, tmp_path: Path) -> Callable:
    """Runs `fewshot icl crosslingual ARGS` with the runs below a folder of the test."""
    return lambda *args: fewshot("icl", "crosslingual", "--run-dir", tmp_path / "runs", *args)


def test_the_document_holds_every_pair(crosslingual: Callable, fewshot: Callable, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    outcome = crosslingual("-t", "intents", "--from", "en,ko", "--to", "ko", *SMALL, "--json", "-o", file)
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert json.loads(file.read_text()) == document
    assert (document["from"], document["to"], document["chance"]) == (["en", "ko"], ["en", "ko"], pytest.approx(1 / 3))
    cells = {(cell["from"], cell["to"]): cell for cell in document["cells"]}
    assert set(cells) == {("en", "en"), ("en", "ko"), ("ko", "en"), ("ko", "ko")}
    for cell in cells.values():
        low, high = cell["accuracy"]["ci95"]
        assert 0 <= low <= cell["accuracy"]["mean"] <= high <= 1
        assert (cell["n_episodes"], cell["n_queries"], cell["complete"]) == (4, 12, True)
    assert document["learner"]["name"] == "crosslingual"
    assert "en -> ko: 4 episodes" in outcome.stderr
    listed = json.loads(fewshot("runs", "ls", "--run-dir", tmp_path / "runs", "--json").stdout)
    assert {row["manifest_sha256"] for row in listed} == {cell["manifest_sha256"] for cell in cells.values()}


def test_the_matrix_has_sources_as_rows_and_targets_as_columns(crosslingual: Callable) -> None:
    outcome = crosslingual("--from", "en", "--to", "ko", *SMALL)
    lines = [line.split() for line in outcome.stdout.splitlines() if line.strip()]
    assert lines[1] == ["from", "\\", "to", "en", "ko"]
    assert lines[3][0] == "en"
    assert outcome.stdout.count(" to 0.") + outcome.stdout.count(" to 1.") == 2
    assert "chance 0.333; 4 episodes per pair over the same sentences" in outcome.stdout
    assert "transductive" not in outcome.stdout


def test_a_transductive_matrix_says_so(crosslingual: Callable, tmp_path: Path) -> None:
    (tmp_path / "lengths.py").write_text(
        "import numpy as np\n"
        "class Lengths:\n"
        "    name, expensive, fingerprint = 'lengths', False, 'lengths'\n"
        "    def fit(self, texts): return self\n"
        "    def encode(self, texts): return np.array([[len(t), t.count(' ')] for t in texts], dtype=np.float32)\n"
        "    def describe(self): return {'name': self.name}\n"
    )
    wanted = ("--encoder", f"{tmp_path / 'lengths.py'}:Lengths", "--centre", "language", "--way", "3", "-n", "2")
    assert "transductive: the mean of all queries" in crosslingual(*wanted).stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--to", "xx"), "unknown language of task 'intents': 'xx'"),
        (("-t", "banking77"), "in one language only"),
        (("--to", ","), "--to ',' names no language"),
        (("--centre", "middle"), "unknown value of centre: 'middle'"),
        (("--whiten", "2"), "whiten=2.0 is no shrinkage"),
        (("--encoder", "lexical"), "sparse vectors cannot be centred or whitened"),
        (("--encoder", "lexical", "--layer", "3"), "unknown parameter of encoder 'lexical': 'layer'"),
        (("-o", "matrix.csv"), "the document is written as .json"),
        (("--shot", "100"), "lower --shot or --query"),
        (("--drop", "nothing"), "unknown class of task"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_said_in_one_line(crosslingual: Callable, args: tuple[str, ...], message: str) -> None:
    outcome = crosslingual(*args)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert "--resume" not in outcome.stderr
