"""Generation: the model writes an answer, and a strict parser says whether it is a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evals.types import Status, Usage
from icl.models.base import GenerateRequest, Generation, LanguageModel, Prompt
from icl.parts import Part
from icl.scoring.base import Choices, Reading, Readings
from icl.scoring.parse import parse_label


@dataclass(frozen=True)
class Generate(Part):
    """Greedy text, parsed strictly. What is not exactly one label is reported as such, never replaced by a guess.

    With small models this measures obedience to a format more than classification: prefer `direct` where it can be had.

    Args:
        slack: tokens granted beyond the longest label, for quotes and punctuation.
    """

    name = "generate"
    gives_scores: ClassVar[bool] = False

    slack: int = 8

    def reserve(self, model: LanguageModel, choices: Choices) -> int:
        return self.slack + max(model.count_tokens(continuation) for continuation in choices.continuations)

    def read(self, model: LanguageModel, prompts: Sequence[Prompt], choices: Choices) -> Readings:
        limit = self.reserve(model, choices)
        stop = (choices.stop,) if choices.stop else ()
        written = model.generate([GenerateRequest(prompt, limit, stop) for prompt in prompts])
        usage = sum((generation.usage for generation in written), Usage())
        return Readings(tuple(self.reading_of(generation, choices) for generation in written), usage)

    def reading_of(self, generation: Generation, choices: Choices) -> Reading:
        """What was written, as one of the labels."""
        return reading_of(generation, choices)


def reading_of(generation: Generation, choices: Choices) -> Reading:
    """What was written, as one of the labels."""
    if generation.status is not Status.OK:
        return Reading(status=generation.status, detail=generation.text)
    # A template may put words around a label; a model that imitates its demonstrations writes them as well.
    for forms in (choices.continuations, choices.verbalizers):
        choice, status = parse_label(generation.text, forms)
        if choice is not None:
            return Reading(choice=choice, detail=generation.text)
    return Reading(status=status, detail=generation.text)
