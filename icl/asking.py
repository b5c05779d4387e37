"""What selectors and orderings may ask of the language model while a prompt is planned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from evals.types import Example, Query
from fewshot.core.errors import UsageError
from icl.models.base import LanguageModel, Prompt, ScoreRequest
from icl.selectors.base import Pick

_T = TypeVar("_T")
#: Stands where the text will be; no text is written like it.
_HERE = "\ue000"


@dataclass(frozen=True)
class Reader:
    """A language model that reads the prompts of a problem.

    Attributes:
        render: prompts that show some picks, in that order, around queries.
        continuations: the labels, as they follow a prompt.
        examples: the support, of which texts may be asked about.
    """

    model: LanguageModel
    render: Callable[[Sequence[Pick], Sequence[Query]], list[Prompt]]
    continuations: tuple[str, ...]
    examples: Sequence[Example]

    def surprise(self, asked: Sequence[tuple[Pick, Query]]) -> np.ndarray:
        """(n,) nats: minus log p(text of the query | an example), infinite where both do not fit.

        Raises:
            UsageError: the prompts are chats, within which no text can be scored.
        """
        texts = [self._parted(pick, query) for pick, query in asked]
        after: dict[str, dict[str, None]] = {}
        for before, text in texts:
            if self.model.count_tokens(Prompt(before + text)) <= self.model.capabilities.context_length:
                after.setdefault(before, {})[text] = None
        requests = [ScoreRequest(Prompt(before), tuple(written)) for before, written in after.items()]
        found = {
            (request.prompt.text, text): -sum(score.logprobs)
            for request, result in zip(requests, self.model.score(requests), strict=True)
            for text, score in zip(request.continuations, result.scores, strict=True)
        }
        return np.array([found.get(each, np.inf) for each in texts])

    def label_probabilities(self, asked: Sequence[tuple[Sequence[Pick], Query]]) -> np.ndarray:
        """(len(asked), n_labels), each row of sum 1."""
        prompts = [prompt for picks, query in asked for prompt in self.render(picks, [query])]
        requests = [ScoreRequest(prompt, self.continuations) for prompt in prompts]
        if not requests:
            return np.zeros((0, len(self.continuations)))
        scores = np.array([[sum(score.logprobs) for score in result.scores] for result in self.model.score(requests)])
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def fits(self, picks: Sequence[Pick], query: Query) -> bool:
        """Whether a prompt and its labels are within the model's context."""
        (prompt,) = self.render(picks, [query])
        longest = max(map(self.model.count_tokens, self.continuations), default=0)
        return self.model.count_tokens(prompt) + longest <= self.model.capabilities.context_length

    def _parted(self, pick: Pick, query: Query) -> tuple[str, str]:
        """What stands before the text of a query, and the text as it is written."""
        prompt, marked = self.render([pick], [query, replace(query, text=_HERE)])
        if prompt.messages:
            raise UsageError("how probable a text is cannot be asked in a chat: use --format completion")
        before, _, behind = marked.text.partition(_HERE)
        return before, prompt.text[len(before) : len(prompt.text) - len(behind)]


@runtime_checkable
class AsksModel(Protocol):
    """A part that asks the model about the problem at hand."""

    @property
    def name(self) -> str: ...

    @property
    def reader(self) -> Reader | None: ...


def asking(part: _T, reader: Reader) -> _T:
    """The part with a model to ask, if it asks one."""
    if not isinstance(part, AsksModel):
        return part
    if not reader.model.capabilities.scores:
        raise UsageError(f"{part.name!r} asks how probable texts are, which {reader.model.name} does not tell")
    bound = copy.copy(part)
    object.__setattr__(bound, "reader", reader)
    return bound


def required(part: AsksModel) -> Reader:
    """What a part asks. Raises UsageError where it was given no model."""
    if part.reader is None:
        raise UsageError(f"{part.name!r} asks a language model: use it in icl run, icl predict or an ICLLearner")
    return part.reader
