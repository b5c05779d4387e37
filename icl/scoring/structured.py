"""Structured answers: the model fills a JSON schema whose only values are the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evals.types import Usage
from icl.models.base import GenerateRequest, LanguageModel, Prompt
from icl.parts import Part
from icl.scoring.base import Choices, Readings
from icl.scoring.generate import reading_of


@dataclass(frozen=True)
class Structured(Part):
    """A JSON object with one of the labels, by constrained decoding where the server has it.

    A server that ignores the schema writes plain text: the strict parser reads both.

    Args:
        slack: tokens granted beyond the longest label, for the braces around it.
    """

    name = "structured"
    gives_scores: ClassVar[bool] = False

    slack: int = 24

    def reserve(self, model: LanguageModel, choices: Choices) -> int:
        return self.slack + max(model.count_tokens(verbalizer) for verbalizer in choices.verbalizers)

    def read(self, model: LanguageModel, prompts: Sequence[Prompt], choices: Choices) -> Readings:
        limit = self.reserve(model, choices)
        written = model.generate([GenerateRequest(prompt, limit, choices=choices.verbalizers) for prompt in prompts])
        usage = sum((generation.usage for generation in written), Usage())
        return Readings(tuple(reading_of(generation, choices) for generation in written), usage)
