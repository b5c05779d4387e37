"""The contract that prompting and training both implement. The harness knows learners by nothing else."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from evals.types import Answer, Label, Modality, Prediction, Problem, Status, TaskInfo, Usage, plural
from fewshot.core.errors import BudgetReached, UsageError
from fewshot.core.spec import Spec

if TYPE_CHECKING:
    from evals.episode import Episode


class Ledger(Protocol):
    """Where a learner notes requests that cost money, so that a killed run does not pay twice."""

    def get(self, key: str) -> dict[str, Any] | None: ...

    def put(self, key: str, record: dict[str, Any]) -> None: ...


class NoLedger:
    """Remembers nothing: for learners whose work is free to repeat."""

    def get(self, key: str) -> dict[str, Any] | None:
        return None

    def put(self, key: str, record: dict[str, Any]) -> None:
        return None


@dataclass
class Budget:
    """Hard limits of a run. None is no limit. `charge` raises before a limit would be passed."""

    max_usd: float | None = None
    max_requests: int | None = None
    spent: Usage = field(default_factory=Usage)

    def charge(self, usage: Usage) -> None:
        total = self.spent + usage
        if self.max_requests is not None and total.requests > self.max_requests:
            raise BudgetReached(f"--max-requests {self.max_requests} is reached")
        if self.max_usd is not None and (total.usd is None or total.usd > self.max_usd):
            raise BudgetReached(f"--max-cost {self.max_usd} USD is reached")
        self.spent = total

    def settle(self, charged: Usage, actual: Usage) -> None:
        """Put what was really used in the place of what was charged in advance."""
        less = Usage(
            -charged.seconds,
            -charged.requests,
            -charged.tokens_in,
            -charged.tokens_out,
            -charged.tokens_cached,
            None if charged.usd is None else -charged.usd,
        )
        self.spent = self.spent + less + actual


def ignore(*_: object) -> None:
    """Takes what nobody asked for."""


def without_repeats(notify: Callable[[str], None]) -> Callable[[str], None]:
    """Passes every message on once, for learners that come to say the same about the same task."""
    told: set[str] = set()

    def pass_on(message: str) -> None:
        if message not in told:
            told.add(message)
            notify(message)

    return pass_on


@dataclass
class Context:
    """The surroundings of a prediction: everything a learner may use that is not the problem.

    Attributes:
        device: a torch device name, or "auto".
        seed: the run's seed; a learner derives its own with `seed_of(ctx.seed, problem.id, ...)`.
        deadline: `time.monotonic()` value after which a learner stops cleanly, or None.
        cancel: set when the user interrupts; a learner stops cleanly after the problem at hand.
        notify: called with one-line messages meant for the user (fallbacks, waits).
        track: called with figures of a training, and the step at which they were taken.
    """

    device: str = "auto"
    seed: int = 0
    deadline: float | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    budget: Budget = field(default_factory=Budget)
    ledger: Ledger = field(default_factory=NoLedger)
    notify: Callable[[str], None] = ignore
    track: Callable[[Mapping[str, Any], int], None] = ignore

    @property
    def stopping(self) -> bool:
        """Whether to stop before the next problem."""
        return self.cancel.is_set() or (self.deadline is not None and time.monotonic() >= self.deadline)


@dataclass(frozen=True)
class Background:
    """Texts of classes that are not tested, without labels: the only door for data beyond the support."""

    texts: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take, told before it starts. None is unknown."""

    seconds: float | None = None
    tokens: int | None = None
    usd: float | None = 0.0


@runtime_checkable
class Learner(Protocol):
    """Answers problems. One method is the contract; `BaseLearner` has sensible defaults for the rest."""

    name: str

    @property
    def transductive(self) -> bool:
        """Whether the answer to one query may depend on the other queries."""
        ...

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Yield one prediction per problem, in any order, each as soon as it is finished, failures included."""
        ...

    def prepare(self, background: Background, ctx: Context) -> None:
        """See texts of other classes (for IDF, vocabularies). Called once, before `predict`."""
        ...

    def describe(self) -> dict[str, Any]:
        """Everything that decides the result, JSON-ready: it lands in the record and guards `--resume`."""
        ...

    def estimate(self, problems: Sequence[Problem], n_problems: int, ctx: Context) -> Estimate:
        """Foresee the cost of `n_problems` from a few of them. Sends nothing that costs money."""
        ...


@runtime_checkable
class MetaLearner(Learner, Protocol):
    """A learner that is trained on other classes or tasks first."""

    @property
    def trained(self) -> bool:
        """Whether it was trained or loaded."""
        ...

    def meta_fit(
        self, train: Sequence[Episode], valid: Sequence[Episode], ctx: Context, folder: Path | None = None
    ) -> None:
        """Train on episodes of other classes, gold included; stop early on others again.

        Args:
            train, valid: episode i is a function of i alone, so a training can go on from a position.
            folder: where training keeps what it needs to be resumed; one that it finds there is continued.
        """
        ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


@runtime_checkable
class TaskDependent(Protocol):
    """A learner of which a part, a language model for instance, is only settled once the task is known."""

    def for_task(self, task: TaskInfo, labels: Sequence[Label] = ()) -> Learner:
        """The learner as it is for a task: what depends on its language, or on what its labels mean, is decided here.

        Args:
            labels: of the whole task; an episode may have fewer.
        """
        ...


@runtime_checkable
class KnowsLimits(Protocol):
    """A learner that can say beforehand that it is not made for a task."""

    def why_unsuited(self, task: TaskInfo, labels: Sequence[Label]) -> str | None:
        """Why nothing is to be expected of it, in one line; None where something is, or where that is not known."""
        ...


def for_task(learner: Learner, task: TaskInfo, labels: Sequence[Label] = ()) -> Learner:
    """The learner as it is for a task and its labels; most learners are the same for all.

    One that chooses a single label decides about every label where a text may have several.

    Raises:
        UsageError: it reads no such examples.
    """
    from evals.relevance import by_decisions

    require_modality(learner.name, getattr(learner, "modalities", None), task)
    settled = learner.for_task(task, labels) if isinstance(learner, TaskDependent) else learner
    return by_decisions(settled, task)


class BaseLearner:
    """Defaults for learners written here: subclasses set `name` and define `solve` (or `predict`).

    The constructor of a subclass only stores its arguments, under their own names, so that `describe` can read them.

    Attributes:
        kinds: of tasks that it answers; None says nothing, and it is asked about any.
        modalities: of examples that it reads; None for one that reads none, or says nothing.
        extra: the install extra that it needs.
        baseline: whether it stands beside every result.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...] | None] = None
    modalities: ClassVar[tuple[Modality, ...] | None] = ("text",)
    extra: ClassVar[str | None] = None
    baseline: ClassVar[bool] = False

    @property
    def transductive(self) -> bool:
        """Whether the answer to one query may depend on the other queries."""
        return False

    def prepare(self, background: Background, ctx: Context) -> None:
        """Needs no background."""

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Solve the problems one by one, until they end or the context says stop."""
        for problem in problems:
            if ctx.stopping:
                return
            started = time.perf_counter()
            answers = self.solve(problem, ctx)
            usage = Usage(seconds=time.perf_counter() - started)
            yield Prediction(problem.id, tuple(answers), {"predict": usage})

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Answer the queries of one problem."""
        raise TypeError(f"{type(self).__name__} defines neither solve nor predict")

    def describe(self) -> dict[str, Any]:
        """Name and constructor arguments."""
        params = {
            key: described(getattr(self, key))
            for key, parameter in inspect.signature(type(self)).parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD
        }
        return {"name": self.name, **params}

    def _repr_html_(self) -> str:
        from fewshot.core.notebook import html_table

        return html_table(self.name, ["argument", "value"], [*list(self.describe().items())[1:]])

    def estimate(self, problems: Sequence[Problem], n_problems: int, ctx: Context) -> Estimate:
        """Time and tokens unknown, and nothing to pay."""
        return Estimate()


def described(value: Any) -> Any:
    """A JSON-ready form of a parameter: parts describe themselves, specs and paths are written out."""
    if hasattr(value, "describe"):
        return value.describe()
    if isinstance(value, Spec | Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [described(item) for item in value]
    return value


def failure(problem: Problem, status: Status, detail: str) -> Prediction:
    """The prediction of a problem that could not be answered: every query gets the same status."""
    return Prediction(problem.id, tuple(Answer(None, status, detail=detail) for _ in problem.queries))


def require_kind(problem: Problem, kinds: str | Sequence[str], learner: str) -> None:
    """Refuse a problem of another kind at once: a request that a learner cannot serve is not a failed answer."""
    task, known = problem.task, (kinds,) if isinstance(kinds, str) else kinds
    if task.kind not in known:
        named = " and ".join(map(repr, known))
        raise UsageError(f"learner {learner!r} answers {named} tasks; task {task.name!r} is of kind {task.kind!r}")


def require_modality(who: str, modalities: Sequence[str] | None, task: TaskInfo) -> None:
    """Refuse a task whose examples are not what a learner, or an encoder, reads.

    Args:
        who: for the message. modalities: that are read; None where that is not known.

    Raises:
        UsageError: with what can be taken instead.
    """
    if modalities is None or task.modality in modalities:
        return
    instead = {
        "image": "; of fewshot classic, --encoder conv4 is trained on images, and pixels takes them as they are",
        "series": "; of fewshot classic, --encoder series is trained on such, and steps takes them as they are",
    }.get(task.modality, "")
    read = " and ".join(map(plural, modalities))
    raise UsageError(f"{who} reads {read}, and task {task.name!r} is of {plural(task.modality)}{instead}")
