"""Learners on the splits, one after the other, within a budget of time and money."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from evals.checks import checked
from evals.comparison.contestants import Contestant
from evals.episode import EpisodeSampler
from evals.kinds import kind_named
from evals.leaks import refuse_leaks
from evals.learner import Background, Context, Learner, MetaLearner, for_task
from evals.metatrain import ensure_trained
from evals.recommend.ladder import LeftOut
from evals.recommend.splits import Split
from evals.task import Task
from evals.types import Answer, Prediction, Status, Usage
from fewshot.core.errors import BudgetReached, FewshotError, StorageError


class _OutOfReach(Exception):
    """More time or money would be needed than is left; the learner itself may be sound."""

    def __init__(self, why: str, limit: str = "--budget") -> None:
        super().__init__(why)
        self.limit = limit


@dataclass(frozen=True)
class Trial:
    """What one learner answered.

    Attributes:
        spec: what builds it; `learner` is what was built.
        accuracy: per split, answers that are not ok counted as wrong.
        answers: per split, in the order of its queries.
        seconds: wall clock, loading and training included.
        usd: None is unknown.
    """

    spec: str
    learner: Learner
    baseline: bool
    transductive: bool
    accuracy: tuple[float, ...]
    answers: tuple[tuple[Answer, ...], ...]
    seconds: float
    usd: float | None


def attempt(
    contestant: Contestant,
    learner: Learner,
    task: Task,
    splits: Sequence[Split],
    ctx: Context,
    load: Callable[[str], Task],
) -> Trial | LeftOut:
    """Let a learner answer every split, unless that would take more than is left.

    The time is foreseen from one split to the next; of the first one, which may load a model, nothing is concluded.

    Args:
        ctx: its deadline and budget are those of all learners together.
        load: gives the tasks that a meta-learner is trained on.

    Raises:
        StorageError: the disk is full.
        KeyboardInterrupt: the context was cancelled.
    """
    started = time.monotonic()
    learner = for_task(learner, task.info, task.labels)
    try:
        _require_reach(learner, splits, ctx)
        _train(learner, task, ctx, load)
        for note in refuse_leaks([learner], task):
            ctx.notify(note)
        learner.prepare(Background(), ctx)
        predictions = list(_answered(learner, splits, ctx))
    except StorageError:
        raise
    except _OutOfReach as missing:
        return LeftOut(contestant.name, str(missing), missing.limit)
    except BudgetReached:
        if ctx.stopping:
            return LeftOut(contestant.name, "the time was over", "--budget")
        return LeftOut(contestant.name, f"it reached --max-cost {ctx.budget.max_usd} USD", "--max-cost")
    except FewshotError as error:
        return LeftOut(contestant.name, str(error))
    except Exception as error:  # noqa: BLE001 - a learner may raise anything, and the others are to go on
        return LeftOut(contestant.name, f"it failed: {type(error).__name__}: {error}")
    kind = kind_named(task.info.kind)
    return Trial(
        spec=contestant.name,
        learner=learner,
        baseline=contestant.baseline,
        transductive=learner.transductive,
        accuracy=tuple(
            sum(kind.score(answer, row.label or "") for answer, row in zip(done.answers, split.rows, strict=True))
            / len(split.rows)
            for done, split in zip(predictions, splits, strict=True)
        ),
        answers=tuple(prediction.answers for prediction in predictions),
        seconds=time.monotonic() - started,
        usd=sum((used for done in predictions for used in done.usage.values()), Usage()).usd,
    )


def _answered(learner: Learner, splits: Sequence[Split], ctx: Context) -> Iterator[Prediction]:
    for number, split in enumerate(splits):
        started = time.monotonic()
        prediction = next(iter(learner.predict([split.problem], ctx)), None)
        if ctx.cancel.is_set():
            raise KeyboardInterrupt
        if prediction is None and ctx.stopping:
            raise _OutOfReach(f"the time was over after {number} of {len(splits)} splits")
        if prediction is None:
            raise FewshotError(f"it gave no answer to split {number + 1}")
        prediction = checked(prediction, split.problem, learner.name)
        if number == 0 and all(answer.status is not Status.OK for answer in prediction.answers):
            first = prediction.answers[0]
            raise FewshotError(f"no text was answered: {first.status}, {first.detail or 'no detail'}")
        _require_time((time.monotonic() - started) * (len(splits) - number - 1) if number else 0.0, ctx)
        yield prediction


def _require_time(seconds: float, ctx: Context) -> None:
    left = _time_left(ctx)
    if left is not None and seconds > left:
        raise _OutOfReach(f"it would take about {_duration(seconds)} more, and {_duration(left)} are left")


def _require_reach(learner: Learner, splits: Sequence[Split], ctx: Context) -> None:
    """Ask the learner's own estimate before anything is begun."""
    left = _time_left(ctx)
    if left == 0:
        raise _OutOfReach("no time was left for it")
    estimate = learner.estimate([splits[0].problem], len(splits), ctx)
    if left is not None and estimate.seconds is not None and estimate.seconds > left:
        raise _OutOfReach(f"it would take about {_duration(estimate.seconds)}, and {_duration(left)} are left")
    spent, limit = ctx.budget.spent.usd or 0.0, ctx.budget.max_usd
    if limit is not None and estimate.usd is not None and spent + estimate.usd > limit:
        why = f"it would cost about {estimate.usd:.2f} USD, and {limit - spent:.2f} USD are left"
        raise _OutOfReach(why, "--max-cost")


def _time_left(ctx: Context) -> float | None:
    return None if ctx.deadline is None else max(0.0, ctx.deadline - time.monotonic())


def _train(learner: Learner, task: Task, ctx: Context, load: Callable[[str], Task]) -> None:
    """Meta-train on the tasks that the learner names, once: none of its training texts is in a split."""
    if isinstance(learner, MetaLearner) and not learner.trained:
        ensure_trained(learner, EpisodeSampler.of(task, None, 1, 1, ctx.seed, part="train"), ctx, load)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
