"""The usual way: one prompt per query, and the labels are scored after it.

Cost: the demonstrations once (where queries share them), every query once, every label once per query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evals.types import Problem
from icl.answers import answers_of
from icl.readouts.base import Asking, Read, Readout


@dataclass(frozen=True)
class Labels(Readout):
    """Labels are scored, or written, after one prompt with the demonstrations that the selector chose."""

    name = "labels"
    selects: ClassVar[bool] = True
    calibrates: ClassVar[bool] = True

    def asked(self, problem: Problem) -> tuple[Problem, ...]:
        return (problem,)

    def read(self, asking: Asking) -> Read:
        (plan,) = asking.plans
        found = asking.scorer.read(asking.model, plan.prompts, plan.choices)
        answers, content_free = answers_of(plan, found.readings, asking.problem.labels)
        return Read(answers, found.usage, content_free, found.notes)
