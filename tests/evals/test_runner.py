"""The runner with learners of every kind, honest and wayward."""

from __future__ import annotations

import gc
import json
import re
import stat
import time
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.episode import EpisodeSampler
from evals.learner import BaseLearner, Context
from evals.rundir import new_run_dir
from evals.runner import Progress, background, run
from evals.store import Store
from evals.types import Answer, Prediction, Problem, Status, Trace
from fewshot.core.errors import BudgetReached, FewshotError, ResumeMismatch, StorageError, UsageError
from fewshot.core.hashing import digest
from tests.evals.fakes import (
    KINDS,
    Classifier,
    FirstLabel,
    Logging,
    Wayward,
    classification_task,
    generation_task,
    learner_of,
    sampler_of,
    with_first_answer,
)

N = 6
SAMPLER = sampler_of("classification")


def stored(folder: Path, learner: str = "main") -> list[Prediction]:
    with Store.read(folder) as store:
        return [prediction for prediction, _ in store.predictions(learner)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_the_same_way(kind: str, tmp_path: Path) -> None:
    sampler = sampler_of(kind)
    done = run(learner_of(kind), sampler, N, run_dir=tmp_path / "run")
    direct = learner_of(kind).predict((sampler[index].problem for index in range(N)), Context())
    answers = {prediction.problem_id: prediction.answers for prediction in direct}
    assert {prediction.problem_id: prediction.answers for prediction in stored(done.folder)} == answers
    assert done.result["n_episodes"] == N
    assert done.result["complete"]
    score = done.result["accuracy" if kind == "classification" else "score"]
    assert 0.0 < score["mean"] < 1.0
    assert done.result["non_ok_rate"] == 0.0


def test_baselines_answer_the_same_episodes(tmp_path: Path) -> None:
    done = run(Classifier(), SAMPLER, N, run_dir=tmp_path, baselines={"first": FirstLabel()})
    assert {p.problem_id for p in stored(tmp_path)} == {p.problem_id for p in stored(tmp_path, "first")}
    assert done.result["baselines"]["first"]["accuracy"]["mean"] == pytest.approx(1 / 3)


def test_predictions_may_come_in_any_order(tmp_path: Path) -> None:
    straight = run(Classifier(), SAMPLER, N, run_dir=tmp_path / "a").result
    backward = run(Wayward(change=lambda found: reversed(found)), SAMPLER, N, run_dir=tmp_path / "b").result
    assert _timeless(backward) == _timeless(straight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda ps: [*ps[:3], replace(ps[3], problem_id="?")], "not asked or is answered", id="unknown id"),
        pytest.param(lambda ps: [*ps[:3], ps[0]], "not asked or is answered already", id="twice"),
        pytest.param(
            lambda ps: [*ps[:3], replace(ps[3], answers=ps[3].answers[1:])],
            "5 answers to 6 queries",
            id="too few answers",
        ),
        pytest.param(lambda ps: ps[:3], "without answering every problem", id="too few predictions"),
        pytest.param(
            lambda ps: [*ps[:3], replace(ps[3], trace=Trace(content_free=((float("nan"),),)))],
            "cannot be stored",
            id="NaN in the trace",
        ),
        pytest.param(
            lambda ps: [*ps[:3], with_first_answer(ps[3], detail="\ud800")], "cannot be stored", id="lone surrogate"
        ),
    ],
)
def test_a_broken_contract_stops_the_run_and_keeps_what_was_answered(
    change: Callable[[list[Prediction]], Iterable[Prediction]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FewshotError, match=message) as caught:
        run(Wayward(change=change), SAMPLER, N, run_dir=tmp_path)
    assert caught.value.__notes__ == [f"What was answered is stored; continue with --resume {tmp_path}"]
    assert len(stored(tmp_path)) == 3


def test_what_can_never_be_asked_is_not_to_be_resumed(tmp_path: Path) -> None:
    def refuse(predictions: list[Prediction]) -> Iterator[Prediction]:
        yield predictions[0]
        raise UsageError("two labels read alike")

    with pytest.raises(UsageError) as caught:
        run(Wayward(change=refuse), SAMPLER, N, run_dir=tmp_path)
    assert not getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize(
    ("changes", "status", "detail"),
    [
        pytest.param({"decision": "nobody"}, Status.NOT_IN_LABELS, "'nobody'", id="no such label"),
        pytest.param({"decision": None}, Status.BAD_RESPONSE, "no decision", id="no decision"),
        pytest.param({"scores": (float("nan"), 0.0, 0.0)}, Status.BAD_RESPONSE, "not finite", id="NaN score"),
        pytest.param({"scores": (0.0, -float("inf"), 0.0)}, Status.BAD_RESPONSE, "not finite", id="infinite score"),
        pytest.param({"scores": (0.0, 0.0)}, Status.BAD_RESPONSE, "2 scores for 3 labels", id="too few scores"),
        pytest.param({"raw": (0.0, 0.0)}, Status.BAD_RESPONSE, "2 scores for 3 labels", id="too few raw scores"),
        pytest.param({"status": Status.REFUSED, "detail": "no"}, Status.REFUSED, "no", id="not ok, with a decision"),
        pytest.param(
            {"status": Status.TIMEOUT, "decision": None, "scores": (float("nan"),) * 3},
            Status.TIMEOUT,
            "not finite",
            id="not ok, with NaN",
        ),
    ],
)
def test_unusable_answers_are_counted_not_trusted(
    changes: dict[str, Any], status: Status, detail: str, tmp_path: Path
) -> None:
    spoil = Wayward(change=lambda found: [with_first_answer(found[0], **changes), *found[1:]])
    done = run(spoil, SAMPLER, N, run_dir=tmp_path)
    (spoilt,) = [answer for p in stored(tmp_path) for answer in p.answers if answer.status is not Status.OK]
    assert (spoilt.decision, spoilt.status) == (None, status)
    assert detail in spoilt.detail
    assert done.result["statuses"] == {"ok": 6 * N - 1, status.value: 1}


def test_scores_of_numpy_are_stored_as_numbers(tmp_path: Path) -> None:
    scores = tuple(np.log(np.full(3, 1 / 3, dtype=np.float32)))
    spoil = Wayward(change=lambda found: [with_first_answer(p, scores=scores) for p in found])
    run(spoil, SAMPLER, N, run_dir=tmp_path)
    assert stored(tmp_path)[0].answers[0].scores == tuple(map(float, scores))


class Failing(Classifier):
    """The classifier, until its third problem."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        for at, prediction in enumerate(super().predict(problems, ctx)):
            if at == 2:
                raise self.error
            yield prediction


@pytest.mark.parametrize(
    "error",
    [BudgetReached("no money left"), ZeroDivisionError("a bug"), KeyboardInterrupt()],
    ids=lambda e: type(e).__name__,
)
def test_a_learner_that_raises_loses_nothing_and_resumes(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught:
        run(Failing(error), SAMPLER, N, run_dir=tmp_path / "a")
    assert "--resume" in caught.value.__notes__[0]
    assert len(stored(tmp_path / "a")) == 2
    resumed = run(Classifier(), SAMPLER, N, run_dir=tmp_path / "b")
    healed = Failing(error)
    healed.predict = Classifier().predict  # type: ignore[method-assign]
    done = run(healed, SAMPLER, N, run_dir=tmp_path / "a", resume=True)
    assert done.result["accuracy"] == resumed.result["accuracy"]


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    learner = Logging(tmp_path / "log")
    first = run(learner, SAMPLER, N, run_dir=tmp_path / "run")
    again = run(learner, SAMPLER, N, run_dir=tmp_path / "run", resume=True)
    assert again == first
    assert len((tmp_path / "log").read_text().splitlines()) == N
    assert len(learner.background) == 1


@pytest.mark.promise(16)
@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"sampler": replace(SAMPLER, shot=1)}, "episodes.shot: 2 -> 1"),
        ({"sampler": replace(SAMPLER, seed=7)}, "episodes.seed: 0 -> 7"),
        ({"n_episodes": 9}, "episodes.count: 6 -> 9"),
        ({"learner": Classifier(temperature=2.0)}, "learners.main.temperature: 1.0 -> 2.0"),
        ({"learner": FirstLabel()}, 'learners.main.name: "fake-classifier" -> "fake-first"'),
        ({"baselines": {"first": FirstLabel()}}, 'learners.first.name: absent -> "fake-first"'),
        ({"ctx": Context(seed=3)}, "seed: 0 -> 3"),
        ({"config": {"template": "b"}}, 'settings.template: "a" -> "b"'),
        ({"sampler": replace(SAMPLER, task=classification_task(instruction="New."))}, "task.card_fingerprint: "),
        ({"sampler": replace(SAMPLER, task=classification_task(per_class=13))}, "task.data_fingerprint: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_configuration_is_refused_with_the_difference(
    change: dict[str, Any], difference: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"learner": Classifier(), "sampler": SAMPLER, "n_episodes": N, "config": {"template": "a"}}
    run(**given, run_dir=tmp_path)
    with pytest.raises(ResumeMismatch, match=re.escape(difference)):
        run(**{**given, **change}, run_dir=tmp_path, resume=True)
    run(**given, run_dir=tmp_path, resume=True)


def test_a_run_of_other_sampling_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr("evals.rundir.SAMPLING", 1)
        run(Classifier(), SAMPLER, N, run_dir=tmp_path)
    with pytest.raises(ResumeMismatch, match=r"episodes\.sampling: 1 -> 2"):
        run(Classifier(), SAMPLER, N, run_dir=tmp_path, resume=True)


def test_other_versions_of_packages_may_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(Classifier(), SAMPLER, N, run_dir=tmp_path)
    monkeypatch.setattr("evals.rundir._version", lambda package: "99")
    again = run(Classifier(), SAMPLER, N, run_dir=tmp_path, resume=True)
    assert again.config["versions"] == first.config["versions"] != {}


def test_a_run_is_not_begun_twice(tmp_path: Path) -> None:
    run(Classifier(), SAMPLER, N, run_dir=tmp_path)
    with pytest.raises(UsageError, match="already holds a run"):
        run(Classifier(), SAMPLER, N, run_dir=tmp_path)


def test_nothing_is_run_without_episodes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--episodes 0"):
        run(Classifier(), SAMPLER, 0, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_baseline_cannot_take_the_place_of_the_learner(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'main'"):
        run(Classifier(), SAMPLER, N, run_dir=tmp_path, baselines={"main": FirstLabel()})


def test_episodes_with_equal_content_are_asked_once(tmp_path: Path) -> None:
    """Three texts give but few different episodes."""
    sampler = EpisodeSampler(generation_task(3), way=1, shot=1, query=1)
    learner = Logging(tmp_path / "log")
    learner.answer = lambda problem, text: Answer("no")  # type: ignore[method-assign]
    reports: list[Progress] = []
    done = run(learner, sampler, 40, run_dir=tmp_path / "run", on_progress=reports.append)
    asked = (tmp_path / "log").read_text().splitlines()
    assert len(asked) == len(set(asked)) <= 6
    assert done.result["n_episodes"] == 40
    assert done.result["complete"]


@pytest.mark.promise(22)
def test_memory_does_not_grow_with_the_number_of_episodes(tmp_path: Path) -> None:
    """Of an answered episode nothing but its id is kept."""
    held: dict[int, int] = {}

    def measure(progress: Progress) -> None:
        if progress.done in (10, 40):
            gc.collect()
            held[progress.done] = tracemalloc.get_traced_memory()[0]

    gc.collect()
    gc.freeze()  # what other tests left behind is not looked through again and again
    tracemalloc.start()
    try:
        run(Classifier(), sampler_of("classification", query=8), 40, run_dir=tmp_path, on_progress=measure)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    assert held[40] - held[10] < 30 * 1000


def test_progress_is_told_after_every_episode(tmp_path: Path) -> None:
    reports: list[Progress] = []
    run(Classifier(), SAMPLER, 3, run_dir=tmp_path, baselines={"first": FirstLabel()}, on_progress=reports.append)
    assert reports == [Progress(name, done, 3) for name in ("main", "first") for done in (1, 2, 3)]


def test_the_deadline_ends_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    late = Context(deadline=time.monotonic() - 1)
    with pytest.raises(BudgetReached, match="0 of 6 episodes"):
        run(Classifier(), SAMPLER, N, run_dir=tmp_path, ctx=late)
    assert run(Classifier(), SAMPLER, N, run_dir=tmp_path, resume=True).result["complete"]


def test_a_cancelled_run_finishes_the_problem_at_hand(tmp_path: Path) -> None:
    ctx = Context()

    class Interrupted(Classifier):
        def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
            ctx.cancel.set()
            return super().solve(problem, ctx)

    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(), SAMPLER, N, run_dir=tmp_path, ctx=ctx)
    assert len(stored(tmp_path)) == 1
    assert run(Classifier(), SAMPLER, N, run_dir=tmp_path, resume=True).result["n_episodes"] == N


class Paying(BaseLearner):
    """Pays once for every problem, and never again for one that the ledger knows."""

    name = "fake-paying"
    paid = 0

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        record = ctx.ledger.get(problem.id)
        if record is None:
            self.paid += 1
            record = {"answer": problem.labels[0].name}
            ctx.ledger.put(problem.id, record)
            ctx.notify("paid")
            if self.paid == 3:
                raise RuntimeError("killed between payment and answer")
        return [Answer(record["answer"]) for _ in problem.queries]


@pytest.mark.promise(14)
def test_what_was_paid_is_not_paid_again(tmp_path: Path) -> None:
    learner, heard = Paying(), []
    with pytest.raises(RuntimeError):
        run(learner, SAMPLER, N, run_dir=tmp_path, ctx=Context(notify=heard.append))
    done = run(learner, SAMPLER, N, run_dir=tmp_path, resume=True)
    assert learner.paid == N
    assert heard == ["paid"] * 3
    assert done.result["notes"] == ["paid"] * N


@pytest.mark.parametrize(
    ("part", "classes"),
    [("test", {"c0", "c1"}), ("valid", {"c0", "c1"}), ("train", set())],
    ids=["test", "valid", "train"],
)
def test_background_is_of_training_classes_only(part: str, classes: set[str]) -> None:
    sampler = EpisodeSampler(classification_task(split=True), 2, 1, 1, class_split="01", part=part)
    assert {text.split()[-1] for text in background(sampler).texts} == classes


def test_without_a_class_split_there_is_no_background(tmp_path: Path) -> None:
    learner = Logging(tmp_path / "log")
    run(learner, SAMPLER, 1, run_dir=tmp_path / "run")
    assert [found.texts for found in learner.background] == [()]


def test_run_json_holds_configuration_and_result(tmp_path: Path) -> None:
    done = run(Classifier(), SAMPLER, N, run_dir=tmp_path / "run")
    path = done.folder / "run.json"
    assert json.loads(path.read_text()) == {"config": done.config, "result": done.result}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.promise(34)
@pytest.mark.parametrize(
    ("task", "learner", "middle"),
    [
        ("sentiment-ko", "icl", "sentiment-ko-icl"),
        ("sib200[ko]", "icl:model=(hf:A/B)", "sib200-ko-icl-model-hf-a-b"),
        ("../../etc", "한국어", "etc-한국어"),
        ("사본", "★", f"사본-{digest('★')[:8]}"),
        (unicodedata.normalize("NFD", "사본"), "한" * 300, f"사본-{'한' * 26}"),
        ("x" * 300, "nn", f"{'x' * 40}-nn"),
    ],
)
def test_run_folders_have_safe_names(task: str, learner: str, middle: str, tmp_path: Path) -> None:
    folder = new_run_dir(tmp_path / "runs", task, learner)
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z-{re.escape(middle)}-[0-9a-f]{{8}}", folder.name)
    assert folder.parent == tmp_path / "runs"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert new_run_dir(tmp_path / "runs", task, learner) != folder


def test_a_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--run-dir"):
        new_run_dir(tmp_path / "file", "task", "learner")


def _timeless(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in ("seconds", "usage", "run_dir")}
