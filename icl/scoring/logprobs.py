"""Top-k log-probabilities: what a hosted model shows of its first token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

from evals.types import Status, Usage
from fewshot.core.errors import UsageError
from icl.models.base import GenerateRequest, Generation, LanguageModel, Prompt
from icl.parts import Part
from icl.scoring.base import Choices, Reading, Readings

#: Probability that is taken to be left where rounding leaves none.
_LEAST_LEFT = 1e-9


@dataclass(frozen=True)
class TopLogprobs(Part):
    """Scores labels by the tokens that begin them, among the most probable first tokens of the answer.

    A token counts for a label when the label's words begin with it, in whatever case. A label of which no beginning is
    shown is at most as probable as the least of those shown, and as what they leave over: this bound is its score,
    marked as such. Only the first token is looked at, so labels that share it cannot be told apart, and are refused.

    Args:
        k: how many alternatives are asked for; None takes as many as the model shows.
    """

    name = "logprobs"
    gives_scores: ClassVar[bool] = True

    k: int | None = None

    def reserve(self, model: LanguageModel, choices: Choices) -> int:
        return 1 + max(model.count_tokens(continuation) for continuation in choices.continuations)

    def read(self, model: LanguageModel, prompts: Sequence[Prompt], choices: Choices) -> Readings:
        shown = model.capabilities.top_logprobs
        if not shown:
            other = "direct" if model.capabilities.scores else "generate"
            raise UsageError(f"model {model.name!r} shows no log-probabilities of first tokens; use --method {other}")
        k = min(self.k or shown, shown)
        words = [verbalizer.strip() for verbalizer in choices.verbalizers]
        _refuse_equal_beginnings(words)
        written = model.generate([GenerateRequest(prompt, max_tokens=1, top_logprobs=k) for prompt in prompts])
        usage = sum((generation.usage for generation in written), Usage())
        return Readings(tuple(_reading(generation, words, model.name) for generation in written), usage)


def _refuse_equal_beginnings(words: Sequence[str]) -> None:
    """Labels that share their first word, or of which one begins the other, share their first token in any model."""
    for one, other in combinations(words, 2):
        a, b = one.casefold(), other.casefold()
        if a.split()[0] == b.split()[0] or a.startswith(b) or b.startswith(a):
            raise _indistinct(one, other, "begin alike, so they share their first token")


def _indistinct(one: str, other: str, why: str) -> UsageError:
    return UsageError(
        f"labels {one!r} and {other!r} {why}. Give one of them another verbalizer in the task card, or use --method "
        "generate or structured"
    )


def _reading(generation: Generation, words: Sequence[str], model: str) -> Reading:
    if generation.status is not Status.OK:
        return Reading(status=generation.status, detail=generation.text)
    if not generation.alternatives:
        raise UsageError(f"model {model!r} answered without log-probabilities; use --method generate or structured")
    seen = math.fsum(math.exp(logprob) for _, logprob in generation.alternatives)
    detail = f"{generation.text!r}; the first tokens shown hold {seen:.4f} of the probability"
    masses = _masses(dict(generation.alternatives), words, model)
    if all(mass is None for mass in masses):
        return Reading(status=Status.NOT_IN_LABELS, detail=detail)
    bound = _bound(seen, generation.alternatives)
    raw = tuple(bound if mass is None else math.log(mass) for mass in masses)
    return Reading(raw, bound=None in masses, detail=detail)


def _masses(alternatives: Mapping[str, float], words: Sequence[str], model: str) -> list[float | None]:
    """Per label the probability of the tokens that begin it alone, or None where none is shown.

    A token that begins several labels counts for none of them. Where it is what they usually begin with, they are
    refused: it is more probable than every token that tells them apart.
    """
    masses: list[float | None] = [None] * len(words)
    shared: list[tuple[float, str, list[int]]] = []
    for token, logprob in alternatives.items():
        beginning = token.strip().casefold()
        begun = [at for at, word in enumerate(words) if beginning and word.casefold().startswith(beginning)]
        if len(begun) > 1:
            shared.append((math.exp(logprob), token, begun))
        elif begun:
            masses[begun[0]] = (masses[begun[0]] or 0.0) + math.exp(logprob)
    for mass, token, begun in shared:
        if mass > max(masses[at] or 0.0 for at in begun):
            raise _indistinct(words[begun[0]], words[begun[1]], f"share their first token {token!r} in {model}")
    return masses


def _bound(seen: float, alternatives: Sequence[tuple[str, float]]) -> float:
    """The largest log-probability that a token can have which is not among these, whose probabilities sum to `seen`."""
    return min(min(logprob for _, logprob in alternatives), math.log(max(1.0 - seen, _LEAST_LEFT)))
