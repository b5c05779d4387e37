"""An error names a way out that exists: it is taken here, and works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.episode import EpisodeSampler
from evals.loading import load_task
from fewshot.core.errors import TaskError

pytestmark = pytest.mark.promise(88)

PROBE = ("-a", "probe", "--encoder", "lexical")
#: Rows by class; the last one has too few of them.
COUNTS = {"배송": 5, "no answer": 5, "환불 요청": 1}


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """rows.csv, where the user works."""
    monkeypatch.chdir(tmp_path)
    _write(COUNTS)
    return tmp_path


def _write(counts: dict[str, int], name: str = "rows.csv") -> None:
    texts = [f"text {at} of {label},{label}\n" for label, n in counts.items() for at in range(n)]
    Path(name).write_text("text,label\n" + "".join(texts))


COMMANDS: dict[str, tuple[str, ...]] = {
    "tasks check": ("rows.csv",),
    "classic run": ("-t", "rows.csv", *PROBE, "--shot", "1", "--query", "1", "-n", "2"),
    "icl run": ("-t", "rows.csv", "--shot", "1", "--query", "1", "-n", "2", "--dry-run"),
    "compare": ("-t", "rows.csv", "-l", "nn", "--shot", "1", "--query", "1", "-n", "2"),
    "power": ("-t", "rows.csv", "-l", "nn", "-l", "tfidf", "--shot", "1", "--query", "1", "--pilot", "5"),
    "icl preview": ("-t", "rows.csv", "-m", "openai:any", "--base-url", "http://127.0.0.1:9/v1", "--shot", "1"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_class_with_one_text_is_left_out(rows: Path, fewshot: Callable[..., Any], command: str) -> None:
    once = ("--query", "1") if command == "icl preview" else ()
    refused = fewshot(*command.split(), *COMMANDS[command], *once)
    assert refused.code == 2
    assert "label more texts, or leave the class out: --drop '환불 요청'" in refused.stderr
    assert "lower" not in refused.stderr
    found = fewshot(*command.split(), *COMMANDS[command], *once, "--drop", "환불 요청")
    assert found.code == 0, found.stderr
    assert "left out 1 rows of the class '환불 요청'" in found.stdout + found.stderr


def test_what_was_left_out_is_left_out_again(rows: Path, fewshot: Callable[..., Any]) -> None:
    given = ("--shot", "1", "--query", "1", "-n", "2", "--drop", "환불 요청")
    assert fewshot("classic", "run", "-t", "rows.csv", *PROBE, *given, "--run-dir", "one").code == 0
    (run,) = Path("one").iterdir()
    for again in ((), ("--drop", "환불 요청")):
        assert fewshot("classic", "run", "--resume", run, *again).code == 0
    assert "--drop" in fewshot("classic", "run", "--resume", run, "--drop", "배송").stderr
    assert fewshot("compare", "-t", "rows.csv", "-l", "nn", *given, "--run-dir", "two").code == 0
    (compared,) = Path("two").iterdir()
    assert fewshot("compare", "--resume", compared).code == 0
    for folder in (run, compared):
        assert fewshot("report", folder, "-o", "report.html").code == 0
        assert "texts are not shown" not in Path("report.html").read_text()
    assert fewshot("recommend", "rows.csv", "--drop", "환불 요청", "-l", "tfidf", "--out", "mine").code == 0
    (rows / "new.txt").write_text("text 1 of 배송\n")
    for verb in (("predict", "--from", "mine"), ("classic", "predict", "--support", "rows.csv", *PROBE, *given[-2:])):
        found = fewshot(*verb, "new.txt")
        assert json.loads(found.stdout)["label"] == "배송", found.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("rows.csv", "--drop", "배솜"), "unknown class of task 'rows': '배솜'. Did you mean '배송'?"),
        (("rows.csv", "--drop", "배송", "--drop", "no answer"), "only the class '환불 요청'"),
        (("sentiment-ko", "--drop", "neutral"), "unknown class of task 'sentiment-ko'"),
        (("many.jsonl.yaml", "--drop", "a"), "a classification only"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_what_cannot_be_left_out(rows: Path, fewshot: Callable[..., Any], given: tuple[str, ...], message: str) -> None:
    (rows / "many.jsonl").write_text('{"text": "one", "label": ["a", "b"]}\n' * 2)
    (rows / "many.jsonl.yaml").write_text("name: many\nkind: multilabel\nsource: {path: many.jsonl}\n")
    found = fewshot("tasks", "show", *given)
    assert (found.code, message in found.stderr) == (2, True), found.stderr


LOWER, MORE = "; lower --shot or --query", "label more texts"


@pytest.mark.parametrize(
    ("counts", "shot", "query", "advice"),
    [
        ((20, 20, 2), 5, 5, LOWER),
        ((20, 20, 1), 5, 5, f"; {MORE}, or leave the class out: --drop 'class 2'"),
        ((5, 5, 1), 1, 1, f"; {MORE}, or leave the class out: --drop 'class 2'"),
        ((5, 1), 1, 1, f"; {MORE}"),
        ((20, 1), 9, 9, f"; {MORE}"),
    ],
)
def test_lower_options_are_advised_where_they_help(
    rows: Path, counts: tuple[int, ...], shot: int, query: int, advice: str
) -> None:
    _write({f"class {at}": n for at, n in enumerate(counts)})
    task = load_task("rows.csv")
    with pytest.raises(TaskError) as caught:
        EpisodeSampler(task, len(counts), shot, query)
    assert str(caught.value).endswith(advice)
    if advice == LOWER:
        EpisodeSampler(task, len(counts), 1, 1)


@pytest.mark.parametrize("kind", ["multilabel", "tagging"])
def test_a_class_that_texts_carry_beside_others_is_not_left_out(rows: Path, kind: str) -> None:
    gold: Any = ["a", "b"] if kind == "multilabel" else ["B-a", "B-b"]
    lines = [json.dumps({"text": f"text {at}", "label": gold, "tokens": ["text", str(at)]}) for at in range(2)]
    (rows / "many.jsonl").write_text("\n".join(lines))
    (rows / "many.yaml").write_text(f"name: many\nkind: {kind}\nsource: {{path: many.jsonl}}\n")
    task = load_task("many.yaml")
    with pytest.raises(TaskError, match=r"; label more texts, or lower --way$"):
        EpisodeSampler(task, 2, 1, 1)
    EpisodeSampler(task, 1, 1, 1)


def test_classes_whose_names_are_written_alike_get_words_of_their_own(rows: Path) -> None:
    _write({"a_b": 2, "a-b": 2})
    with pytest.raises(TaskError, match="give each a verbalizer of its own there"):
        load_task("rows.csv")
    (rows / "card.yaml").write_text("name: rows\nlabels: {a_b: under, a-b: over}\nsource: {path: rows.csv}\n")
    assert [label.verbalizer for label in load_task("card.yaml").labels] == ["under", "over"]


FAILS = """
from evals.types import Answer, Prediction
from fewshot.core import errors

class Fails:
    name, transductive = "fails", False
    def prepare(self, background, ctx): ...
    def describe(self): return {{"name": self.name}}
    def estimate(self, problems, n_problems, ctx): ...
    def predict(self, problems, ctx):
        problem = next(iter(problems))
        yield Prediction(problem.id, tuple(Answer(problem.labels[0].name) for _ in problem.queries))
        raise {error}
"""


@pytest.mark.parametrize("error", ["errors.BudgetReached('spent')", "errors.StorageError('full')", "KeyboardInterrupt"])
@pytest.mark.parametrize(("command", "kept"), [("compare", True), ("power", False)])
def test_only_what_is_kept_is_to_be_resumed(
    rows: Path, fewshot: Callable[..., Any], command: str, kept: bool, error: str
) -> None:
    _write({"a": 9, "b": 9})
    (rows / "mine.py").write_text(FAILS.format(error=error))
    pilot = ("--pilot", "5") if command == "power" else ("-n", "5")
    given = ("-t", "rows.csv", "-l", "mine.py:Fails", "-l", "nn", "--shot", "1", "--query", "1", *pilot)
    found = fewshot(command, *given)
    assert found.code not in (0, 2)
    assert ("continue with: fewshot compare --resume" in found.stderr) == kept
    assert ("--resume" in found.stderr) == kept
