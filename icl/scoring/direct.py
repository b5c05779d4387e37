"""Direct scoring: the log-probability of every label after the prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from evals.types import Status, Usage
from fewshot.core.errors import UsageError, unknown_name
from icl.models.base import ContinuationScore, LanguageModel, Prompt, ScoreRequest
from icl.parts import Part
from icl.scoring.base import Choices, Reading, Readings

Normalization = Literal["sum", "mean", "bytes"]
_NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)


@dataclass(frozen=True)
class Direct(Part):
    """Scores labels by their log-probability, all tokens of them.

    Args:
        normalize: "sum" is log P(label | prompt) itself: the only one of the three that is a probability. It favours
            short labels, an advantage that calibration takes out because content-free inputs have it too. "mean" per
            token favours labels whose later tokens are predictable, whatever the text. "bytes" per UTF-8 byte compares
            across tokenizers.
    """

    name = "direct"
    gives_scores: ClassVar[bool] = True

    normalize: Normalization = "sum"

    def __post_init__(self) -> None:
        if self.normalize not in _NORMALIZATIONS:
            raise unknown_name("normalization", self.normalize, _NORMALIZATIONS)

    def reserve(self, model: LanguageModel, choices: Choices) -> int:
        # One more: a label tokenised by itself can be a token shorter than after its prompt.
        return 1 + max(model.count_tokens(continuation) for continuation in choices.continuations)

    def read(self, model: LanguageModel, prompts: Sequence[Prompt], choices: Choices) -> Readings:
        if not model.capabilities.scores:
            raise UsageError(f"model {model.name!r} gives no log-probabilities of whole labels; use --method generate")
        if not prompts:
            return Readings((), Usage())
        results = model.score([ScoreRequest(prompt, choices.continuations) for prompt in prompts])
        usage = Usage(
            requests=len(prompts),
            tokens_in=sum(result.tokens_fresh for result in results),
            tokens_cached=sum(result.tokens_shared for result in results),
        )
        straddles = any(score.straddles for result in results for score in result.scores)
        return Readings(
            tuple(self._reading(result.scores) for result in results),
            usage,
            ("the first token of a label also covers characters of the prompt; both are scored",) if straddles else (),
        )

    def _reading(self, scores: Sequence[ContinuationScore]) -> Reading:
        raw = tuple(self._normalized(score) for score in scores)
        if not all(map(math.isfinite, raw)):
            return Reading(status=Status.ERROR, detail=f"the model gave scores that are not finite: {raw}")
        return Reading(raw)

    def _normalized(self, score: ContinuationScore) -> float:
        total = math.fsum(score.logprobs)
        return total / {"sum": 1, "mean": len(score.logprobs), "bytes": score.n_bytes}[self.normalize]
