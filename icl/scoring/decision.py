"""Decisions: a model made to choose says how probable each label is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evals.types import Usage
from fewshot.core.errors import UsageError
from icl.models.base import Decides, Decision, DecisionRequest, LanguageModel, Prompt
from icl.parts import Part
from icl.scoring.base import Choices, Reading, Readings

#: A smaller probability was rounded: it says only that the true one is not larger.
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Decide(Part):
    """The probabilities of a choice question, as their logarithms (`POST /v1/decisions`)."""

    name = "decision"
    gives_scores: ClassVar[bool] = True

    def reserve(self, model: LanguageModel, choices: Choices) -> int:
        return 1 + max(model.count_tokens(verbalizer) for verbalizer in choices.verbalizers)

    def read(self, model: LanguageModel, prompts: Sequence[Prompt], choices: Choices) -> Readings:
        if not isinstance(model, Decides):
            other = "direct" if model.capabilities.scores else "generate"
            raise UsageError(f"model {model.name!r} answers no choice questions; use --method {other}")
        decisions = model.decide([DecisionRequest(prompt, choices.verbalizers) for prompt in prompts])
        usage = sum((decision.usage for decision in decisions), Usage())
        return Readings(tuple(map(_reading, decisions)), usage)


def _reading(decision: Decision) -> Reading:
    if decision.probabilities is None:
        return Reading(status=decision.status, detail=decision.detail)
    raw = tuple(math.log(max(probability, _SMALLEST)) for probability in decision.probabilities)
    return Reading(raw, bound=min(decision.probabilities) < _SMALLEST)
