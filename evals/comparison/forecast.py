"""What a study is going to take, foreseen before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from evals.comparison.conduct import Job, Plan
from evals.learner import Context, Estimate, Learner, MetaLearner, for_task, ignore
from evals.metatrain import ensure_trained
from evals.runner import background
from evals.task import Task
from evals.types import Problem

_SAMPLE = 2


@dataclass(frozen=True)
class Expected:
    """What one contestant is expected to take in all. None is unknown."""

    learner: str
    n_runs: int
    n_queries: int
    seconds: float | None
    usd: float | None


def forecast(plan: Plan, ctx: Context, load: Callable[[str], Task]) -> list[Expected]:
    """Foresee every contestant's time and money. Sends nothing that costs money.

    Training is tried for a few steps, and foreseen at its full length: stopping early makes it shorter.

    Args:
        load: gives the tasks that a meta-learner wants to be trained on.
    """
    quiet = replace(ctx, notify=ignore, track=ignore)
    names = list(dict.fromkeys(job.contestant.name for job in plan.jobs))
    by_name = ([job for job in plan.jobs if job.contestant.name == name] for name in names)
    return [_expected(jobs, plan.study.episodes, quiet, load) for jobs in by_name]


def _expected(jobs: Sequence[Job], n_episodes: int, ctx: Context, load: Callable[[str], Task]) -> Expected:
    first = jobs[0]
    training = 0.0
    learner = first.contestant.build(first.sampler.seed)
    if isinstance(learner, MetaLearner) and not learner.trained:
        learner, training = _trained_for_a_trial(first, ctx, load)
    estimates, n_queries = [], 0
    for job in jobs:
        problems = [job.sampler[at].problem for at in range(min(_SAMPLE, n_episodes))]
        n_queries += n_episodes * len(problems[0].queries)
        settled = for_task(learner, job.sampler.task.info, job.sampler.task.labels)
        estimates.append(_estimate(settled, job, problems, n_episodes, ctx))
    return Expected(
        first.contestant.name,
        len(jobs),
        n_queries,
        _total([training * len(jobs), *(estimate.seconds for estimate in estimates)]),
        _total([estimate.usd for estimate in estimates]),
    )


def _trained_for_a_trial(job: Job, ctx: Context, load: Callable[[str], Task]) -> tuple[Learner, float]:
    """A learner that was hardly trained, and the seconds that the whole training will take at most.

    Learners that train in steps have `steps` and `eval_every`; of others a trial would be the whole.
    """
    took: list[float] = []
    learner = job.contestant.build(job.sampler.seed)
    steps, period = getattr(learner, "steps", 0), getattr(learner, "eval_every", 0)
    for n_periods in (1, 2):
        learner = job.contestant.build(job.sampler.seed)
        if steps and period:
            vars(learner)["steps"] = min(steps, n_periods * period)
        started = time.perf_counter()
        learner = ensure_trained(learner, job.sampler, ctx, load)
        took.append(time.perf_counter() - started)
    periods = steps / period if period else 1
    # What comes before the first step (texts to be embedded) is in the first trial alone.
    return learner, took[0] + max(took[1] - took[0], took[1] / 2) * max(periods - 1, 0)


def _estimate(learner: Learner, job: Job, problems: Sequence[Problem], n_episodes: int, ctx: Context) -> Estimate:
    """The learner's own estimate; where it has none and its work is free, that of a trial."""
    found = learner.estimate(problems, n_episodes, ctx)
    if found.seconds is not None or found.usd != 0:
        return found
    learner.prepare(background(job.sampler), ctx)
    list(learner.predict(problems, ctx))  # loads what has to be loaded, which is not to be counted
    started = time.perf_counter()
    list(learner.predict(problems, ctx))
    seconds = (time.perf_counter() - started) / len(problems)
    return Estimate(seconds * n_episodes, found.tokens, found.usd)


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
