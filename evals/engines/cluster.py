"""Problems spread over the workers of a Ray cluster. Workers answer; this process alone draws and writes.

Moritz et al., OSDI 2018, arXiv 1712.05889.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import Any

from evals.engines.base import Recipe
from evals.learner import Background, Context, Estimate, Learner, for_task
from evals.types import Label, Prediction, Problem, TaskInfo
from fewshot.core.errors import FewshotError, MissingExtra, ModelUnavailable, UsageError
from fewshot.core.network import refuse_elsewhere

#: How often the wait for answers looks up, so that a second Ctrl-C is heard, in seconds.
_LOOK_UP = 1.0
#: A chunk that ends this many workers is given up: it is the chunk, not the machine.
_ATTEMPTS = 2


@dataclass(frozen=True)
class RayEngine:
    """Answers on the cluster at `RAY_ADDRESS`, or on all cores of this machine where that is not set.

    Every machine of the cluster needs the same version of fewshot, and the files that specs name by path.

    Attributes:
        workers: processes, each with a learner of its own; None is one per GPU, or one per core where there is none.
        chunk: problems per request. More are faster with learners that stack them; Ctrl-C waits for a whole chunk.
    """

    workers: int | None = None
    chunk: int = 1

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise UsageError(f"ray:chunk={self.chunk} is too small; use 1 or more")

    def spread(self, learner: Learner, recipe: Recipe) -> Learner:
        """The learner by way of the cluster, which is not started before there are problems.

        Raises:
            MissingExtra: Ray is not installed.
        """
        _ray()
        return RayLearner(learner, recipe, self)


class RayLearner:
    """A learner whose problems are answered by workers.

    Args:
        learner: describes itself and foresees costs in this process; it answers nothing here.
        recipe: how workers make it.
    """

    def __init__(self, learner: Learner, recipe: Recipe, engine: RayEngine) -> None:
        self.name = learner.name
        self._learner = learner
        self._recipe = recipe
        self._engine = engine
        self._background = Background()

    @property
    def transductive(self) -> bool:
        """As the learner."""
        return self._learner.transductive

    def for_task(self, task: TaskInfo, labels: Sequence[Label] = ()) -> RayLearner:
        """With the learner as it is for the task, here and in every worker."""
        settled = copy(self)
        settled._learner = for_task(self._learner, task, labels)
        settled._recipe = self._recipe.for_task(task, labels)
        return settled

    def describe(self) -> dict[str, Any]:
        """As the learner: where a problem is answered decides no result."""
        return self._learner.describe()

    def estimate(self, problems: Sequence[Problem], n_problems: int, ctx: Context) -> Estimate:
        """As the learner, in this process alone; an upper bound on the seconds."""
        return self._learner.estimate(problems, n_problems, ctx)

    def prepare(self, background: Background, ctx: Context) -> None:
        """Keep the background; every worker gets it before its first problem."""
        self._background = background

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Yield predictions as workers finish them. At most one chunk per worker is in flight.

        Raises:
            UsageError: the context limits money or requests, the learner pays for requests, or there are more workers
                than cores.
            ModelUnavailable: the cluster cannot be reached, or a worker cannot be started in it.
            FewshotError: a problem ended two workers. What a learner raises in a worker comes out here unchanged.
        """
        if ctx.budget.max_usd is not None or ctx.budget.max_requests is not None:
            raise UsageError("--max-cost and --max-requests cannot be kept across workers; use --engine local")
        crew = _Crew(self._engine.workers, self._recipe, self._background, ctx)
        waiting = iter(problems)
        told: set[str] = set()
        answered: tuple[Prediction, ...] = ()
        try:
            while True:
                # Workers get their next problems before the last ones are stored, so that none of them waits.
                while crew.has_room and not ctx.stopping and (chunk := tuple(islice(waiting, self._engine.chunk))):
                    crew.ask(chunk)
                yield from answered
                if not crew.busy:
                    return
                reply = crew.reply()
                for message in reply.messages:
                    if message not in told:
                        told.add(message)
                        ctx.notify(message)
                answered = reply.predictions()
        finally:
            crew.dismiss()


@dataclass(frozen=True)
class _Reply:
    """What a worker sends back. Errors of ours travel as type and message, so that any of them can be built again."""

    answered: tuple[Prediction, ...] = ()
    messages: tuple[str, ...] = ()
    error: tuple[type[FewshotError], str] | None = None

    def predictions(self) -> tuple[Prediction, ...]:
        if self.error is not None:
            kind, message = self.error
            # Past the constructor: those of some errors compose the message that is here already.
            raise kind.__new__(kind, message)
        return self.answered


class _UnreachableLedger:
    """The ledger of a worker: only the process that owns the run may write what was paid."""

    def get(self, key: str) -> dict[str, Any] | None:
        raise UsageError(
            "this learner sends requests that cost money, and workers cannot record them; use --engine local, which "
            "sends many at a time"
        )

    def put(self, key: str, record: dict[str, Any]) -> None:
        self.get(key)


class _Worker:
    """A process of the cluster, with its learner. Built on the first problem, so that its errors have a way back."""

    def __init__(self, recipe: Recipe, background: Background, device: str, seed: int) -> None:
        self._recipe = recipe
        self._background = background
        self._messages: list[str] = []
        self._ctx = Context(device, seed, ledger=_UnreachableLedger(), notify=self._messages.append)
        self._learner: Learner | None = None

    def answer(self, problems: tuple[Problem, ...], seconds_left: float | None) -> _Reply:
        self._ctx.deadline = None if seconds_left is None else time.monotonic() + seconds_left
        answered, error = (), None
        try:
            answered = tuple(self._ready().predict(problems, self._ctx))
        except FewshotError as raised:
            error = (type(raised), str(raised))
        messages = tuple(self._messages)
        self._messages.clear()
        return _Reply(answered, messages, error)

    def _ready(self) -> Learner:
        if self._learner is None:
            learner = self._recipe.make()
            learner.prepare(self._background, self._ctx)
            self._learner = learner
        return self._learner


@dataclass(frozen=True)
class _Asked:
    worker: Any
    problems: tuple[Problem, ...]
    attempt: int


class _Crew:
    """The workers of one `predict`: engaged when there is work for them, replaced when they die."""

    def __init__(self, workers: int | None, recipe: Recipe, background: Background, ctx: Context) -> None:
        self._ray = _connected()
        self._ctx = ctx
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._share = share(nodes, workers, use_gpus=ctx.device != "cpu")
        # Stored once in the cluster, however many workers read them.
        self._parts = (self._ray.put(recipe), self._ray.put(background), ctx.device, ctx.seed)
        self._engaged: list[Any] = []
        self._idle: list[Any] = []
        self._asked: dict[Any, _Asked] = {}

    @property
    def busy(self) -> bool:
        """Whether answers are outstanding."""
        return bool(self._asked)

    @property
    def has_room(self) -> bool:
        """Whether another chunk can be asked now."""
        return len(self._asked) < self._share.workers

    def ask(self, problems: tuple[Problem, ...], attempt: int = 1) -> None:
        """Give a chunk to an idle worker, or to a new one."""
        worker = self._idle.pop() if self._idle else self._engage()
        left = None if self._ctx.deadline is None else self._ctx.deadline - time.monotonic()
        self._asked[worker.answer.remote(problems, left)] = _Asked(worker, problems, attempt)

    def reply(self) -> _Reply:
        """The next reply; an empty one after a while without any, and where a dead worker's chunk is asked again."""
        finished, _ = self._ray.wait(list(self._asked), timeout=_LOOK_UP)
        if not finished:
            return _Reply()
        asked = self._asked.pop(finished[0])
        try:
            reply = self._ray.get(finished[0])
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            self._ask_again(asked, error)
            return _Reply()
        self._idle.append(asked.worker)
        return reply

    def dismiss(self) -> None:
        """End every worker, at once."""
        for worker in self._engaged:
            self._ray.kill(worker)

    def _ask_again(self, asked: _Asked, error: Exception) -> None:
        lines = str(error).strip().splitlines()
        if getattr(error, "actor_init_failed", False):
            raise ModelUnavailable(
                f"a worker cannot start: {lines[-1]}; every machine of the cluster needs the same packages and files"
            ) from error
        if asked.attempt == _ATTEMPTS:
            ids = ", ".join(problem.id[:12] for problem in asked.problems)
            raise FewshotError(
                f"{_ATTEMPTS} workers died on problem {ids}: {lines[0]} If memory ran out, use fewer: --engine ray:N"
            ) from error
        self._ctx.notify("a worker died; its problem is asked again")
        self.ask(asked.problems, asked.attempt + 1)

    def _engage(self) -> Any:
        # Ray gives a worker as many threads (OMP_NUM_THREADS) as it has CPUs.
        resources = {"num_cpus": self._share.cpus, "num_gpus": self._share.gpus}
        worker = self._ray.remote(**resources)(_Worker).remote(*self._parts)
        self._engaged.append(worker)
        return worker


@dataclass(frozen=True)
class Share:
    """How a cluster is divided: the number of workers, and the cores and GPUs (or part of one) of each."""

    workers: int
    cpus: int
    gpus: float


def share(nodes: Sequence[Mapping[str, float]], workers: int | None, use_gpus: bool) -> Share:
    """Divide a cluster so that all workers run at a time and no core has two of them.

    Args:
        nodes: the resources of each machine, by the names that Ray gives them.
        workers: how many there shall be; None is one per GPU, or per core where there is none.

    Raises:
        UsageError: less than one worker, or more than cores.
    """
    cores = [int(node.get("CPU", 0)) for node in nodes]
    n_gpus = int(sum(node.get("GPU", 0) for node in nodes)) if use_gpus else 0
    wanted = min(n_gpus, sum(cores)) or sum(cores) if workers is None else workers
    if not 1 <= wanted <= sum(cores):
        raise UsageError(f"--engine ray with {wanted} workers: the cluster has {sum(cores)} cores")
    # A worker lives on one machine: the largest share of which every machine's cores yield enough.
    fits = (n for n in range(sum(cores) // wanted, 0, -1) if sum(have // n for have in cores) >= wanted)
    return Share(wanted, next(fits), 1 / math.ceil(wanted / n_gpus) if n_gpus else 0)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("--engine ray", "ray") from error
    return ray


def _connected() -> Any:
    """Ray, connected to the cluster that the environment names, or to one of its own, which ends with this process."""
    ray = _ray()
    if ray.is_initialized():
        return ray
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else Ray reports to its makers
    address = os.environ.get("RAY_ADDRESS", "local")
    if address != "local":
        refuse_elsewhere(address if "://" in address else f"ray://{address}", "RAY_ADDRESS")
    own = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelUnavailable(f"no Ray cluster at {address!r} (RAY_ADDRESS): {error}") from error
    return ray
