"""What a study is going to take, foreseen before it begins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from evals.comparison.conduct import Job, Plan
from evals.learner import Background, Context, Estimate, Learner, MetaLearner
from evals.runner import background
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


def forecast(plan: Plan, ctx: Context) -> list[Expected]:
    """Foresee every contestant's time and money from two episodes of each series. Sends nothing that costs money."""
    names = list(dict.fromkeys(job.contestant.name for job in plan.jobs))
    return [_expected([job for job in plan.jobs if job.contestant.name == name], plan, ctx) for name in names]


def _expected(jobs: Sequence[Job], plan: Plan, ctx: Context) -> Expected:
    estimates: list[Estimate] = []
    n_queries = 0
    for job in jobs:
        problems = [job.sampler[at].problem for at in range(min(_SAMPLE, plan.study.episodes))]
        n_queries += plan.study.episodes * len(problems[0].queries)
        estimates.append(_estimate(job, problems, plan.study.episodes, ctx))
    seconds = [estimate.seconds for estimate in estimates]
    usd = [estimate.usd for estimate in estimates]
    return Expected(
        jobs[0].contestant.name,
        len(jobs),
        n_queries,
        None if None in seconds else sum(value for value in seconds if value is not None),
        None if None in usd else sum(value for value in usd if value is not None),
    )


def _estimate(job: Job, problems: Sequence[Problem], n_episodes: int, ctx: Context) -> Estimate:
    """The learner's own estimate; where it has none and its work is free, that of a trial."""
    learner = job.contestant.build(job.sampler.seed)
    found = learner.estimate(problems, n_episodes, ctx)
    if found.seconds is not None or found.usd != 0 or isinstance(learner, MetaLearner):
        return found
    return Estimate(_trial(learner, problems, background(job.sampler), ctx) * n_episodes, found.tokens, found.usd)


def _trial(learner: Learner, problems: Sequence[Problem], texts: Background, ctx: Context) -> float:
    """Seconds per problem, without what has to be loaded first."""
    learner.prepare(texts, ctx)
    list(islice(learner.predict(problems, ctx), len(problems)))
    started = time.perf_counter()
    list(islice(learner.predict(problems, ctx), len(problems)))
    return (time.perf_counter() - started) / len(problems)
