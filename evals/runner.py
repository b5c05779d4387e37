"""The runner: learners x episodes -> a run directory that survives `kill -9` and can be resumed."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from evals.checks import checked
from evals.content import whole_text
from evals.episode import Episode, EpisodeSampler
from evals.kinds import kind_named
from evals.leaks import refuse_leaks
from evals.learner import Background, Context, Learner, failure, for_task, ignore
from evals.records import EpisodeRecord
from evals.results import is_narrow, summarise
from evals.rundir import MAIN, describe_run, open_store, write_copy
from evals.stats import looks
from evals.store import Store
from evals.types import Prediction, Problem, Status
from fewshot.core.errors import (
    BudgetReached,
    FewshotError,
    ModelUnavailable,
    StorageError,
    UsageError,
    is_fault_of_machine,
)

#: A learner that raises so often without an answer in between is given up.
_GIVEN_UP = 3


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its configuration and its result document."""

    folder: Path
    config: dict[str, Any]
    result: dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far one learner of a run has come, in episodes."""

    learner: str
    done: int
    total: int


def run(
    learner: Learner,
    sampler: EpisodeSampler,
    n_episodes: int,
    *,
    run_dir: Path,
    ctx: Context | None = None,
    baselines: Mapping[str, Learner] | None = None,
    config: Mapping[str, Any] | None = None,
    until_ci: float | None = None,
    forgiving: bool = False,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = ignore,
) -> Run:
    """Let a learner, then the baselines, answer the same episodes; store every prediction as it comes.

    Whatever ends the run early, all that was answered is stored, and `resume=True` goes on from there: it repeats at
    most the problems that were in flight, and its result is that of a run without interruption. Ctrl-C lets the problem
    at hand finish; a second one does not.

    Args:
        run_dir: the run's folder; `new_run_dir` makes one.
        ctx: surroundings of the learners. The run's own store takes the place of its ledger.
        baselines: other learners by name, for comparison.
        config: what else decides the result, JSON-ready; it guards `resume` too.
        until_ci: stop a learner after fewer episodes, once its 95 % interval is this many points to either side, or
            narrower; looked at every 50 episodes.
        forgiving: when a learner raises, the problems that it was asked count as failed, and it is asked the next ones;
            after three times without an answer in between it is given up. What this machine lacks is no wrong answer:
            it ends the run.
        resume: go on with the run in `run_dir`.
        on_progress: called after each episode.

    Raises:
        UsageError: `run_dir` holds a run (or, to resume, none), another process writes to it, or a learner was trained
            on classes or texts that it would be tested on.
        ResumeMismatch: the stored run has another configuration.
        StorageError: the run cannot be stored or read.
        BudgetReached: the context's deadline passed, or a learner met a limit.
        FewshotError: a learner broke its contract.
        KeyboardInterrupt: Ctrl-C, or the context was cancelled.
    """
    if n_episodes < 1:
        raise UsageError(f"--episodes {n_episodes} is too small")
    if baselines and MAIN in baselines:
        raise UsageError(f"a baseline cannot be named {MAIN!r}: that is the learner the run is about")
    ctx = ctx or Context()
    given = {MAIN: learner, **(baselines or {})}
    learners = {name: for_task(each, sampler.task.info, sampler.task.labels) for name, each in given.items()}
    leaks = refuse_leaks(learners.values(), sampler)
    settings = {**(config or {}), **({"until_ci": until_ci} if until_ci is not None else {})}
    described = describe_run(learners, sampler, n_episodes, ctx.seed, settings)
    with open_store(run_dir, described, resume) as store:
        write_copy(store, None)
        store_ctx = replace(ctx, ledger=store.ledger, notify=_recorded(ctx.notify, store))
        try:
            for note in leaks:
                store_ctx.notify(note)
            with interruptible(ctx):
                for name, each in learners.items():
                    for enough in looks(n_episodes, until_ci):
                        _answer_all(name, each, sampler, enough, store, store_ctx, forgiving, on_progress)
                        if until_ci is not None and is_narrow(store, name, until_ci):
                            break
        except UsageError:
            raise  # what cannot be asked for will not pass a second time
        except (Exception, KeyboardInterrupt) as error:
            error.add_note(f"What was answered is stored; continue with --resume {run_dir}")
            raise
        result = summarise(store)
        write_copy(store, result)
        return Run(run_dir, store.config, result)


def background(sampler: EpisodeSampler) -> Background:
    """The texts of the training classes where a class split keeps them apart from those that are tested, else none."""
    if sampler.class_split is None or sampler.part == "train":
        return Background()
    task = sampler.task
    kind = kind_named(task.info.kind)
    names = {label.name for label in task.labels_in(sampler.class_split, "train")}
    rows = task.pools(sampler.class_split, "train").support.rows
    found = ((whole_text(task.visible(row)), kind.names(row.label)) for row in rows if row.label is not None)
    texts = tuple(text for text, carried in found if carried and names.issuperset(carried))
    return Background(texts, f"{task.name}, training classes of class split {sampler.class_split}")


class _Feed:
    """Problems on their way to one learner: drawn when asked for, remembered until answered.

    Small data may hold two episodes with equal content; those are one problem, asked once.
    """

    def __init__(self, sampler: EpisodeSampler, n_episodes: int, store: Store, answered: set[str]) -> None:
        self._episodes = sampler.take(n_episodes)
        self._store = store
        self._answered = answered
        self._pending: dict[str, Episode] = {}
        self.done = 0

    def __iter__(self) -> Iterator[Problem]:
        return self

    def __next__(self) -> Problem:
        for episode in self._episodes:
            self._store.add_episode(EpisodeRecord.of(episode))
            if episode.id in self._answered or episode.id in self._pending:
                self.done += 1
                continue
            self._pending[episode.id] = episode
            return episode.problem
        raise StopIteration

    def pending(self, problem_id: str) -> Problem | None:
        """The problem with this id, if it was asked and is not answered."""
        episode = self._pending.get(problem_id)
        return episode.problem if episode else None

    def unanswered(self) -> list[Problem]:
        """The problems that were asked and are not answered."""
        return [episode.problem for episode in self._pending.values()]

    def settle(self, problem_id: str) -> None:
        """Forget an answered problem."""
        del self._pending[problem_id]
        self._answered.add(problem_id)
        self.done += 1

    def exhausted(self) -> bool:
        """Whether every problem was asked and answered."""
        return not self._pending and next(self, None) is None


def _answer_all(
    name: str,
    learner: Learner,
    sampler: EpisodeSampler,
    n_episodes: int,
    store: Store,
    ctx: Context,
    forgiving: bool,
    on_progress: Callable[[Progress], None],
) -> None:
    feed = _Feed(sampler, n_episodes, store, store.answered(name))
    first = next(feed, None)
    if first is None:
        return
    learner.prepare(background(sampler), ctx)
    problems: Iterator[Problem] = chain((first,), feed)
    raised, done = 0, -1
    while True:
        try:
            _answer(
                name, learner, problems, feed, store, ctx, lambda: on_progress(Progress(name, feed.done, n_episodes))
            )
            break
        except (BudgetReached, StorageError, ModelUnavailable):
            raise
        except Exception as error:
            raised = raised + 1 if feed.done == done else 1
            if not forgiving or raised == _GIVEN_UP or is_fault_of_machine(error):
                raise
            detail = f"{type(error).__name__}: {error}"
            ctx.notify(f"{learner.name} raises on what it is asked, which counts as wrong: {detail}")
            for problem in feed.unanswered():
                _store_prediction(store, name, failure(problem, Status.ERROR, detail), 0.0)
                feed.settle(problem.id)
            done, problems = feed.done, feed
    if feed.exhausted():
        return
    if ctx.cancel.is_set():
        raise KeyboardInterrupt
    if ctx.stopping:
        raise BudgetReached(f"the deadline passed after {feed.done} of {n_episodes} episodes of {learner.name!r}")
    raise FewshotError(f"learner {learner.name!r} ended without answering every problem that it was asked")


def _answer(
    name: str,
    learner: Learner,
    problems: Iterator[Problem],
    feed: _Feed,
    store: Store,
    ctx: Context,
    on_answer: Callable[[], None],
) -> None:
    """Store a learner's predictions as they come."""
    since = time.monotonic()
    predictions = learner.predict(problems, ctx)
    try:
        for prediction in predictions:
            problem = feed.pending(prediction.problem_id)
            if problem is None:
                raise FewshotError(
                    f"learner {learner.name!r} answered problem {prediction.problem_id[:12]!r}, which was not asked "
                    "or is answered already"
                )
            now = time.monotonic()
            _store_prediction(store, name, checked(prediction, problem, learner.name), now - since)
            since = now
            feed.settle(prediction.problem_id)
            on_answer()
    finally:
        close = getattr(predictions, "close", None)
        if close is not None:
            close()


def _store_prediction(store: Store, name: str, prediction: Prediction, seconds: float) -> None:
    try:
        store.add_prediction(name, prediction, seconds)
    except (TypeError, ValueError) as error:
        raise FewshotError(f"learner {name!r} gave a prediction that cannot be stored: {error}") from error


def _recorded(notify: Callable[[str], None], store: Store) -> Callable[[str], None]:
    def both(message: str) -> None:
        store.add_note(message)
        notify(message)

    return both


@contextmanager
def interruptible(ctx: Context) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) asks the learner to stop after the problem at hand, the second one stops it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    interrupts = count(1)

    def stop() -> None:
        ctx.cancel.set()
        ctx.notify("stopping after the problem at hand; a second Ctrl-C stops at once")

    def on_interrupt(*_: object) -> None:
        if next(interrupts) > 1:
            raise KeyboardInterrupt
        # In a thread of its own: the interrupted code may hold the very locks that `stop` needs.
        _thread.start_new_thread(stop, ())

    previous = {number: signal.signal(number, on_interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
