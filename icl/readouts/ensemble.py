"""Small prompts instead of one long one: the labels' log-probabilities, averaged over prompts of one demonstration per
class each.

Averaging the predictions of prompts with different demonstrations is found, among others, in Khalifa et al. 2023,
"Exploring Demonstration Ensembling for In-Context Learning" (arXiv 2308.08780), who call the mean of log-probabilities
a product of experts.

Cost: that of `labels` with one demonstration per class, times the number of prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from evals.rounds import rounds
from evals.types import Problem
from fewshot.core.errors import UsageError
from icl.answers import answers_of
from icl.planning import Plan, PlannedQuery
from icl.readouts.base import Asking, Read, Readout
from icl.scoring.base import Reading


@dataclass(frozen=True)
class Ensemble(Readout):
    """The mean of the labels' log-probabilities over several prompts.

    Scores of inputs without content are averaged alike, so calibrations do with the means what they do with scores.

    Args:
        prompts: how many, at most; there are no more than examples of the largest class.
    """

    name = "ensemble"
    calibrates: ClassVar[bool] = True
    about_prompt: ClassVar[str] = "readout 'ensemble' asks several prompts, with other examples each; this is the first"

    prompts: int = 5

    def __post_init__(self) -> None:
        if self.prompts < 1:
            raise UsageError(f"readout 'ensemble': prompts={self.prompts} is below 1")

    def asked(self, problem: Problem) -> tuple[Problem, ...]:
        return tuple(replace(problem, support=shown) for shown in rounds(problem.support)[: self.prompts]) or (problem,)

    def read(self, asking: Asking) -> Read:
        if not asking.scorer.gives_scores:
            raise UsageError("readout 'ensemble' averages scores, and written answers have none; use readout 'labels'")
        plans = _asked_by_all(asking.plans)
        # Asked at once, so that what the prompts share is computed once.
        prompts = [prompt for plan in plans for prompt in plan.prompts]
        found = asking.scorer.read(asking.model, prompts, plans[0].choices)
        n = len(plans[0].prompts)
        by_plan = [found.readings[at : at + n] for at in range(0, len(prompts), n)]
        readings = [_mean(same) for same in zip(*by_plan, strict=True)]
        answers, content_free = answers_of(plans[0], readings, asking.problem.labels)
        return Read(answers, found.usage, content_free, found.notes)


def _asked_by_all(plans: Sequence[Plan]) -> list[Plan]:
    """The plans without the queries that one of them cannot ask."""
    queries = [
        next((query for query in same if query.prompt is None), None)
        for same in zip(*(plan.queries for plan in plans), strict=True)
    ]

    def without(planned: Sequence[PlannedQuery]) -> tuple[PlannedQuery, ...]:
        return tuple(query if lost is None else lost for query, lost in zip(planned, queries, strict=True))

    return [replace(plan, queries=without(plan.queries)) for plan in plans]


def _mean(readings: Sequence[Reading]) -> Reading:
    failed = next((reading for reading in readings if reading.raw is None), None)
    if failed is not None:
        return failed
    mean = log_softmax(np.array([reading.raw for reading in readings], dtype=np.float64), axis=-1).mean(axis=0)
    return Reading(tuple(mean.tolist()), bound=any(reading.bound for reading in readings))
