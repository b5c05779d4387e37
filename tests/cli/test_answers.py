"""What every verb says of its answers: that nearly all are alike, how many failed and why, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evals.predictor import Predictor
from icl.fake import FakeServer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

LEARNERS = '''
from evals.learner import BaseLearner
from evals.types import Answer, Status

class Stubborn(BaseLearner):
    """One label, whatever the text."""
    name = "stubborn"
    def solve(self, problem, ctx):
        return [Answer(min(label.name for label in problem.labels)) for _ in problem.queries]

class Mute(BaseLearner):
    """No answer at all."""
    name = "mute"
    def solve(self, problem, ctx):
        return [Answer(None, Status.REFUSED, detail="not this one") for _ in problem.queries]

class Moody(BaseLearner):
    """Every second text gets no answer, the others their label in turn."""
    name = "moody"
    def solve(self, problem, ctx):
        names = [label.name for label in problem.labels]
        return [
            Answer(None, Status.TIMEOUT, detail="slow") if at % 2 else Answer(names[at // 2 % len(names)])
            for at, _ in enumerate(problem.queries)
        ]
'''
ROWS = 24
QUICK = ("--shot", "2", "--query", "3", "--episodes", "4", "--run-dir", "runs")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with learners, labelled texts and new ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "odd.py").write_text(LEARNERS)
    rows = [f"text number {at},{'good' if at % 2 else 'bad'}\n" for at in range(ROWS)]
    (tmp_path / "mine.csv").write_text("text,label\n" + "".join(rows))
    (tmp_path / "new.txt").write_text("".join(f"new one {at}\n" for at in range(12)))
    return tmp_path


def verbs(learner: str) -> dict[str, tuple[str, ...]]:
    """Every command that gives or measures answers, with this learner."""
    spec = f"odd.py:{learner}"
    return {
        "classic run": ("classic", "run", "-t", "mine.csv", "-a", spec, *QUICK),
        "classic run --json": ("classic", "run", "-t", "mine.csv", "-a", spec, *QUICK, "--json"),
        "classic predict": ("classic", "predict", "new.txt", "--support", "mine.csv", "-a", spec),
        "compare": ("compare", "-t", "mine.csv", "-l", spec, *QUICK),
        "compare --json": ("compare", "-t", "mine.csv", "-l", spec, *QUICK, "--json"),
    }


@pytest.mark.promise(65)
@pytest.mark.parametrize("verb", verbs("Stubborn").values(), ids=verbs("Stubborn"))
def test_one_label_for_all_is_an_alarm(fewshot: Callable, verb: tuple[str, ...]) -> None:
    done = fewshot(*verb)
    assert done.code == 0, done.stderr
    assert done.stderr.count("ALARM: ") == 1
    assert "50%" in done.stderr
    assert "ALARM" not in done.stdout


@pytest.mark.promise(65)
def test_recommend_and_predict_raise_it_too(fewshot: Callable) -> None:
    done = fewshot("recommend", "mine.csv", "-l", "odd.py:Stubborn", "--budget", "1", "--out", "kept", "--json")
    assert done.code == 0, done.stderr
    assert "ALARM: odd.py:Stubborn gives nearly every text the same label" in done.stderr
    assert any("same label" in alarm for alarm in json.loads(done.stdout)["alarms"])
    replace(Predictor.load(Path("kept")), spec="odd.py:Stubborn").save(Path("stubborn"))
    done = fewshot("predict", "--from", "stubborn", "--trust", "new.txt")
    assert "ALARM: 12 of 12 answers are 'bad', the label of 50% of the labelled texts" in done.stderr


@pytest.mark.promise(65)
@pytest.mark.parametrize("verb", verbs("Moody").values(), ids=verbs("Moody"))
def test_some_failures_are_counted_and_told(fewshot: Callable, verb: tuple[str, ...]) -> None:
    done = fewshot(*verb)
    assert done.code == 0, done.stderr
    assert "12 timeout" in done.stderr or "6 timeout" in done.stderr
    assert "texts unanswered" in done.stderr
    assert "ALARM" not in done.stderr


@pytest.mark.promise(65)
@pytest.mark.parametrize("verb", verbs("Mute").values(), ids=verbs("Mute"))
def test_nothing_answered_is_a_failure(fewshot: Callable, verb: tuple[str, ...]) -> None:
    done = fewshot(*verb)
    assert done.code == 1
    n = 12 if "predict" in verb else 24
    assert f"left {n} of {n} texts unanswered: {n} refused" in done.stderr
    assert done.stdout, "what there is to be seen is shown"
    assert ("not this one" in done.stderr) is ("compare" not in verb)


@pytest.mark.promise(65)
def test_hosted_models(fewshot: Callable) -> None:
    def icl(*args: str) -> object:
        hosted = ("-m", "openai:any", "--base-url", server.openai_url, "--no-cache")
        return fewshot("icl", *args, *hosted)

    predict, run = ("predict", "new.txt", "--support", "mine.csv"), ("run", "-t", "mine.csv", *QUICK)
    body = {"choices": [{"finish_reason": "stop", "message": {"content": "bad"}}]}
    with FakeServer([{"body": body, "repeat": 1000}]) as server:
        for done in (
            icl(*predict),
            icl("run", "-t", "mine.csv", *QUICK),
            icl("run", "-t", "mine.csv", *QUICK, "--json"),
        ):
            assert done.code == 0, done.stderr
            assert done.stderr.count("ALARM: ") == 1
    body = {"error": {"message": "your account sleeps"}}
    with FakeServer([{"status": 400, "body": body, "repeat": 1000}]) as server:
        for done in (icl(*predict, "-o", "out.jsonl"), icl(*run)):
            assert done.code == 1
            assert "your account sleeps" in done.stderr
    assert len(Path("out.jsonl").read_text().splitlines()) == 12


@pytest.mark.promise(65)
def test_rows_without_text_are_no_failures(fewshot: Callable) -> None:
    Path("gaps.csv").write_text('text\n"first text"\n" "\n"another text"\n')
    done = fewshot("classic", "predict", "gaps.csv", "--support", "mine.csv", "-a", "tfidf")
    assert done.code == 0
    assert "rows without text, which were not asked: 1" in done.stderr
    Path("gaps.csv").write_text('text\n" "\n" "\n')
    done = fewshot("classic", "predict", "gaps.csv", "--support", "mine.csv", "-a", "tfidf")
    assert done.code == 1
    assert "no row has a text (rows: 2)" in done.stderr
