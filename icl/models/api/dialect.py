"""What a provider's API is to the engine: requests to be sent, and a way to read their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from icl.models.api.capabilities import Family
from icl.models.api.outcome import Outcome
from icl.models.base import GenerateRequest

#: What the provider says where a log-probability is not among those it knows.
_ABSENT = -9999.0


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        path, body: of the HTTP request, with everything that we would like to send.
        read: makes an outcome of the decoded JSON of a response; raises Failure.
        prompt_tokens: estimated.
        max_tokens: most tokens of an answer.
    """

    path: str
    body: dict[str, Any]
    read: Callable[[Any], Outcome]
    prompt_tokens: int
    max_tokens: int


@dataclass(frozen=True)
class Settings:
    """What a user may set about every request to a model.

    Args:
        model: name at the provider.
        family: what is known of it.
        official: whether the provider itself serves it.
        api: "chat" or "responses" (OpenAI).
        temperature, seed: None leaves them to the provider.
        effort: of reasoning; None asks for the least.
        reasoning_tokens: granted beyond the answer to models that reason first.
    """

    model: str
    family: Family
    official: bool
    api: str = "chat"
    temperature: float | None = 0.0
    seed: int | None = None
    effort: str | None = None
    reasoning_tokens: int = 0


class Dialect(Protocol):
    """One provider's way to ask."""

    def generate(self, request: GenerateRequest) -> Call: ...


def label_schema(choices: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an object that names one of the labels."""
    return {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(choices)}},
        "required": ["label"],
        "additionalProperties": False,
    }


def alternatives_of(pairs: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Tokens with their log-probabilities, the most probable of those that look alike, without absent ones."""
    best: dict[str, float] = {}
    for token, logprob in pairs:
        if logprob > _ABSENT:
            best[token] = max(best.get(token, _ABSENT), min(logprob, 0.0))
    return tuple(best.items())


def cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first of `stop`, which a server may have overlooked."""
    if not stop:
        return text
    text = text.lstrip()
    return text[: min((at for word in stop if (at := text.find(word)) >= 0), default=len(text))]
