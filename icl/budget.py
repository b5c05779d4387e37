"""The token budget: a prompt that does not fit loses whole demonstrations, never its instruction or its query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evals.types import Gold
from icl.models.base import LanguageModel, Prompt
from icl.selectors.base import Pick

#: Tokens that a model's format may add to a prompt (a default system message), and to each turn.
_FRAME, _TURN = 64, 16
#: No vocabulary in use has a token of more UTF-8 bytes.
_LONGEST_TOKEN = 128


@dataclass(frozen=True)
class TokenBudget:
    """Room for prompts.

    Args:
        model: counts tokens and knows its context length.
        reserve: tokens kept free for the longest answer, so that every label is scored after the same prompt.
    """

    model: LanguageModel
    reserve: int

    def keep(self, n: int, prompts: Callable[[int], Sequence[Prompt]]) -> int | None:
        """How many demonstrations fit.

        Args:
            n: demonstrations at hand.
            prompts: given k, the prompts that show k of them; all must fit.

        Returns:
            The largest such k, 0 to n, or None when the query does not fit even alone.
        """
        if self._fit(prompts(n)):
            return n
        if not self._fit(prompts(0)):
            return None
        fits, too_many = 0, n
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if self._fit(prompts(middle)):
                fits = middle
            else:
                too_many = middle
        return fits

    def _fit(self, prompts: Sequence[Prompt]) -> bool:
        return all(self._fits(prompt) for prompt in prompts)

    def _fits(self, prompt: Prompt) -> bool:
        """Tokenises only where the length in bytes leaves a doubt: a token is at least one byte."""
        room = self.model.capabilities.context_length - self.reserve
        contents = [prompt.text, *(message.content for message in prompt.messages)]
        size = sum(len(content.encode("utf-8")) for content in contents)
        if size + _FRAME + _TURN * len(prompt.messages) <= room:
            return True
        return size <= _LONGEST_TOKEN * room and self.model.count_tokens(prompt) <= room


def most_wanted(picks: Sequence[Pick]) -> list[Pick]:
    """The order in which demonstrations are kept: the most similar first, or else one of every class in turn."""
    if any(pick.similarity is not None for pick in picks):
        return list(picks)
    seen: Counter[Gold | None] = Counter()
    turns = []
    for pick in picks:
        turns.append(seen[pick.example.label])
        seen[pick.example.label] += 1
    return [picks[at] for at in sorted(range(len(picks)), key=turns.__getitem__)]
