"""Engines: whatever answers the problems, wherever it does, the run comes out the same."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evals.engines import Recipe, spread
from evals.engines.cluster import Share, share
from evals.episode import Episode
from evals.learner import Background, BaseLearner, Budget, Context, Learner
from evals.runner import run
from evals.store import Store
from evals.types import Answer, Prediction, Problem
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import BudgetReached, FewshotError, MissingExtra, ModelUnavailable, UsageError
from tests.comparing import assert_same_answers
from tests.evals.fakes import Classifier, sampler_of

SAMPLER = sampler_of("classification")
PROBLEMS = [SAMPLER[at].problem for at in range(8)]

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='Ray is not installed: ".[ray]"')
#: Ray's processes talk over sockets of this machine; pytest-socket forbids them elsewhere.
on_ray = [needs_ray, pytest.mark.enable_socket]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """End the cluster that the first test on Ray started."""
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


class Odd(Classifier):
    """The classifier, with one peculiarity per test."""

    name = "odd"

    def __init__(self, habit: Callable[[Problem, Context], object] = lambda problem, ctx: None) -> None:
        super().__init__()
        self.habit = habit

    def describe(self) -> dict[str, object]:
        return {"name": self.name}

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        self.habit(problem, ctx)
        return super().solve(problem, ctx)


class Learned(BaseLearner):
    """Always the label at the position that it was trained to; says what it was prepared with."""

    name = "learned"

    def __init__(self) -> None:
        self.at: int | None = None
        self.background = Background()

    @property
    def trained(self) -> bool:
        return self.at is not None

    def meta_fit(
        self, train: Sequence[Episode], valid: Sequence[Episode], ctx: Context, folder: Path | None = None
    ) -> None:
        self.at = 2

    def save(self, folder: Path) -> None:
        (folder / "learner.txt").write_text(str(self.at))

    def load(self, folder: Path) -> None:
        self.at = int((folder / "learner.txt").read_text())

    def prepare(self, background: Background, ctx: Context) -> None:
        self.background = background

    def describe(self) -> dict[str, object]:
        return {"name": self.name, "at": self.at}

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        assert self.at is not None
        threads = os.environ["OMP_NUM_THREADS"]
        said = f"{self.background.source}, {threads} threads, seed {ctx.seed}, {ctx.device}"
        return [Answer(problem.labels[self.at].name, detail=said) for _ in problem.queries]


def on_workers(habit: Callable[[Problem, Context], object], engine: str = "ray:2") -> Learner:
    build = partial(Odd, habit)
    return spread(build(), build, engine)


def answers(predictions: Iterable[Prediction]) -> dict[str, tuple[Answer, ...]]:
    return {prediction.problem_id: prediction.answers for prediction in predictions}


def test_the_local_engine_is_the_learner_itself() -> None:
    learner = Classifier()
    assert spread(learner, Classifier) is learner


@pytest.mark.parametrize(
    ("engine", "message"),
    [("rai", "Did you mean 'ray'"), ("ray:worker=2", "Did you mean 'workers'"), ("ray:chunk=0", "use 1 or more")],
)
def test_an_engine_that_cannot_be(engine: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spread(Classifier(), Classifier, engine)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r'--engine ray needs .* pip install "fewshot\[ray\]"'):
        spread(Classifier(), Classifier, "ray")


def test_only_what_is_trained_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "learner.json").write_text("{}")
    with pytest.raises(UsageError, match="not meta-trained"):
        Recipe.of(Classifier, tmp_path).make()


CPUS = [{"CPU": 4.0}, {"CPU": 2.0}]


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        pytest.param(CPUS, None, Share(6, 1, 0), id="one per core"),
        pytest.param(CPUS, 3, Share(3, 2, 0), id="threads share the cores"),
        pytest.param(CPUS, 2, Share(2, 2, 0), id="3 threads would not fit the second machine"),
        pytest.param(CPUS, 1, Share(1, 4, 0), id="a worker is on one machine"),
        pytest.param([{"CPU": 8.0, "GPU": 2.0}], None, Share(2, 4, 1), id="one per GPU"),
        pytest.param([{"CPU": 8.0, "GPU": 2.0}], 3, Share(3, 2, 0.5), id="GPUs are shared"),
        pytest.param([{"CPU": 2.0, "GPU": 8.0}], None, Share(2, 1, 1), id="more GPUs than cores"),
    ],
)
def test_a_cluster_is_divided(nodes: list[dict[str, float]], workers: int | None, expected: Share) -> None:
    assert share(nodes, workers, use_gpus=True) == expected


@pytest.mark.parametrize("workers", [0, -1, 7])
def test_a_cluster_cannot_be_divided(workers: int) -> None:
    with pytest.raises(UsageError, match="the cluster has 6 cores"):
        share(CPUS, workers, use_gpus=True)


def test_gpus_are_left_alone_when_the_device_is_the_cpu() -> None:
    assert share([{"CPU": 2.0, "GPU": 1.0}], None, use_gpus=False) == Share(2, 1, 0)


class TestRay:
    pytestmark = on_ray

    @pytest.mark.parametrize("engine", ["ray:1", "ray:2", "ray:2,chunk=3"])
    def test_predictions_are_those_of_the_local_engine(self, engine: str) -> None:
        build = partial(LEARNERS.build, "tfidf")
        spread_out = spread(build(), build, engine)
        found = answers(spread_out.predict(PROBLEMS, Context()))
        expected = answers(build().predict(PROBLEMS, Context()))
        assert found.keys() == expected.keys()
        for problem in expected:
            assert_same_answers(found[problem], expected[problem])
        assert spread_out.describe() == build().describe()

    def test_a_run_is_resumed_under_another_engine(self, tmp_path: Path) -> None:
        build = partial(Odd, stop_at_fourth)
        with pytest.raises(KeyboardInterrupt):
            run(build(), SAMPLER, 8, run_dir=tmp_path / "a", ctx=Context())
        run(on_workers(nothing), SAMPLER, 8, run_dir=tmp_path / "a", resume=True)
        run(on_workers(nothing), SAMPLER, 8, run_dir=tmp_path / "b")
        assert stored(tmp_path / "a") == stored(tmp_path / "b") == answers(Odd().predict(PROBLEMS, Context()))

    def test_workers_load_what_was_trained(self, tmp_path: Path) -> None:
        trained = Learned()
        trained.meta_fit([], [], Context())
        trained.save(tmp_path)
        learner = spread(trained, Learned, "ray:1", trained=tmp_path)
        learner.prepare(Background(("text",), "elsewhere"), Context())
        for problem, found in zip(PROBLEMS, learner.predict(PROBLEMS, Context("cpu", seed=7)), strict=True):
            threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
            said = f"elsewhere, {threads} threads, seed 7, cpu"
            assert set(found.answers) == {Answer(problem.labels[2].name, detail=said)}

    def test_problems_are_drawn_as_they_are_needed(self) -> None:
        drawn = []
        found = on_workers(nothing).predict((drawn.append(p) or p for p in PROBLEMS), Context())
        next(found)
        assert len(drawn) <= 4
        found.close()

    @pytest.mark.parametrize(
        ("error", "arguments", "message"),
        [
            pytest.param(UsageError, ["no such thing"], "^no such thing$", id="usage"),
            pytest.param(MissingExtra, ["this", "local"], r"^this needs .*\[local\]", id="of another constructor"),
            pytest.param(KeyError, ["a bug"], "a bug", id="not ours"),
        ],
    )
    def test_an_error_in_a_worker_comes_out_here(
        self, error: type[Exception], arguments: list[str], message: str
    ) -> None:
        with pytest.raises(error, match=message) as caught:
            list(on_workers(partial(fail, error, arguments)).predict(PROBLEMS, Context()))
        assert type(caught.value) is error

    def test_a_worker_that_cannot_start_says_why(self) -> None:
        # An error of two arguments does not survive being pickled: what a worker needs cannot be read there.
        habit = partial(fail, KeyError, [MissingExtra("this", "local")])
        with pytest.raises(ModelUnavailable, match=r"a worker cannot start: .* missing 1 required"):
            list(on_workers(habit).predict(PROBLEMS, Context()))

    def test_an_error_in_building_comes_out_here(self) -> None:
        learner = spread(Classifier(), partial(LEARNERS.build, "tfidff"), "ray:1")
        with pytest.raises(UsageError, match="Did you mean 'tfidf'"):
            list(learner.predict(PROBLEMS, Context()))

    def test_a_worker_that_dies_is_replaced(self, tmp_path: Path) -> None:
        notes: list[str] = []
        found = on_workers(partial(die_once, tmp_path / "died")).predict(PROBLEMS, Context(notify=notes.append))
        assert answers(found) == answers(Odd().predict(PROBLEMS, Context()))
        assert notes == ["a worker died; its problem is asked again"]

    def test_a_problem_that_kills_two_workers_is_given_up(self) -> None:
        with pytest.raises(FewshotError, match=f"2 workers died on problem {PROBLEMS[3].id[:12]}"):
            list(on_workers(die_at_fourth).predict(PROBLEMS, Context()))

    def test_messages_arrive_once(self) -> None:
        notes: list[str] = []
        list(on_workers(greet).predict(PROBLEMS, Context(notify=notes.append)))
        assert notes == ["hello"]

    def test_stopping_ends_after_what_is_in_flight(self) -> None:
        ctx = Context()
        found = on_workers(nothing).predict(PROBLEMS, ctx)
        next(found)
        ctx.cancel.set()
        assert len(list(found)) <= 3

    def test_the_deadline_is_kept(self, tmp_path: Path) -> None:
        with pytest.raises(BudgetReached, match="the deadline passed after 0 of 8"):
            run(on_workers(nothing), SAMPLER, 8, run_dir=tmp_path, ctx=Context(deadline=time.monotonic()))

    @pytest.mark.parametrize("budget", [Budget(max_usd=1.0), Budget(max_requests=5)])
    def test_limits_are_refused(self, budget: Budget) -> None:
        with pytest.raises(UsageError, match="use --engine local"):
            list(on_workers(nothing).predict(PROBLEMS, Context(budget=budget)))

    def test_a_learner_that_pays_is_refused(self) -> None:
        with pytest.raises(UsageError, match="cost money"):
            list(on_workers(buy).predict(PROBLEMS, Context()))


def stored(folder: Path) -> dict[str, tuple[Answer, ...]]:
    with Store.read(folder) as store:
        return answers(prediction for prediction, _ in store.predictions("main"))


def nothing(problem: Problem, ctx: Context) -> None:
    return None


def stop_at_fourth(problem: Problem, ctx: Context) -> None:
    if problem.id == PROBLEMS[3].id:
        ctx.cancel.set()


def fail(error: type[Exception], arguments: Sequence[Any], problem: Problem, ctx: Context) -> None:
    raise error(*arguments)


def die_at_fourth(problem: Problem, ctx: Context) -> None:
    if problem.id == PROBLEMS[3].id:
        os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: Path, problem: Problem, ctx: Context) -> None:
    if problem.id == PROBLEMS[3].id and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def greet(problem: Problem, ctx: Context) -> None:
    ctx.notify("hello")


def buy(problem: Problem, ctx: Context) -> None:
    ctx.ledger.get("a request")
