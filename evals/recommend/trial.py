"""Learners on the splits, one after the other, within a budget of time and money."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

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
    """More time or money would be needed than is left; the learner itself may be sound.

    Attributes:
        seconds: that it would still take, where that is known.
    """

    def __init__(self, why: str, limit: str = "--budget", seconds: float | None = None) -> None:
        super().__init__(why)
        self.limit = limit
        self.seconds = seconds


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
    share: float | None = None,
) -> Trial | LeftOut:
    """Let a learner answer every split, unless that would take more than its share of what is left.

    The time is foreseen from one split to the next. The first one, which may load a model, is not counted, unless it
    takes so long that there would be no time for a second one like it.

    Args:
        ctx: its deadline and budget are those of all learners together.
        load: gives the tasks that a meta-learner is trained on.
        share: seconds that it may take, for its training and again for its answers; None for no limit.

    Raises:
        StorageError: the disk is full.
        KeyboardInterrupt: the context was cancelled.
    """
    started = time.monotonic()
    learner = for_task(learner, task.info, task.labels)
    within = _until(share, ctx)
    try:
        _require_reach(learner, splits, ctx, share)
        _train(learner, task, within, load)
        within = ctx
        for note in refuse_leaks([learner], task):
            ctx.notify(note)
        learner.prepare(Background(), ctx)
        predictions = list(_answered(learner, splits, ctx, share))
    except StorageError:
        raise
    except _OutOfReach as missing:
        return LeftOut(contestant.name, str(missing), missing.limit, missing.seconds)
    except BudgetReached:
        if within.stopping:
            return LeftOut(contestant.name, "its time was over", "--budget")
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


def _answered(learner: Learner, splits: Sequence[Split], ctx: Context, share: float | None) -> Iterator[Prediction]:
    within = ctx
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
        took = time.monotonic() - started
        if number == 0:
            _require_time(took, ctx, ctx)
            within = _until(share, ctx)
        else:
            _require_time(took * (len(splits) - number - 1), within, ctx)
        yield prediction


def _until(share: float | None, ctx: Context) -> Context:
    """The context of a learner that may take so many seconds from now on."""
    if share is None:
        return ctx
    end = time.monotonic() + share
    return replace(ctx, deadline=end if ctx.deadline is None else min(end, ctx.deadline))


def _require_time(seconds: float, within: Context, ctx: Context, more: str = " more") -> None:
    """Refuse what would take longer than a share, or than all that is left."""
    for limits, whose in ((ctx, "are left"), (within, "are its share of what is left")):
        left = _time_left(limits)
        if left is not None and seconds > left:
            why = f"it would take about {_duration(seconds)}{more}, and {_duration(left)} {whose}"
            raise _OutOfReach(why, seconds=seconds)


def _require_reach(learner: Learner, splits: Sequence[Split], ctx: Context, share: float | None) -> None:
    """Ask the learner's own estimate before anything is begun."""
    if _time_left(ctx) == 0:
        raise _OutOfReach("no time was left for it")
    estimate = learner.estimate([splits[0].problem], len(splits), ctx)
    _require_time(estimate.seconds or 0.0, _until(share, ctx), ctx, more="")
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
