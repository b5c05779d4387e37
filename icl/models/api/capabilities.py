"""What each model takes. What the table does not know is found out once, from the refusal, and remembered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from icl.models.api.system import has_system, without_system
from icl.models.base import Capabilities

#: One name for the same thing: where one is refused, the other one is tried before it is dropped.
_RENAMED = {"max_completion_tokens": "max_tokens", "max_tokens": "max_completion_tokens"}
#: Parameters that mean nothing without another one.
_FOLLOWING = {"logprobs": ("top_logprobs",)}
#: How failures name the role of system messages, among the parameters.
SYSTEM_ROLE = "system role"
#: Without these there is no request.
ESSENTIAL = frozenset({"model", "messages", "system", "input", "questions", "max_output_tokens"})


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of the models whose names begin alike.

    Attributes:
        provider: whose.
        pattern: matches the beginning of a name.
        context_length: tokens.
        lacks: parameters that they refuse.
        effort: the least reasoning that can be asked of them, or "" where they do not reason by themselves.
    """

    provider: str
    pattern: str
    context_length: int
    lacks: frozenset[str] = frozenset()
    effort: str = ""


_SAMPLING = frozenset({"temperature", "logprobs", "top_logprobs", "stop"})
#: The first match counts.
FAMILIES = (
    Family("openai", r"o[134]\b", 200_000, _SAMPLING, "low"),
    Family("openai", r"gpt-5(-|$)(?!chat)", 400_000, _SAMPLING, "minimal"),
    # With no reasoning these take what other models take.
    Family("openai", r"gpt-(5\.|[6-9])", 400_000, frozenset({"stop"}), "none"),
    Family("openai", r"gpt-4\.1", 1_000_000),
    Family("openai", r"", 128_000),
    Family("anthropic", r"", 200_000),
)
#: Whose API has these at all. Claude takes neither sampling parameters nor a seed, and shows no log-probabilities.
_TOP_LOGPROBS = {"openai": 20, "anthropic": 0}
#: A server that merely speaks the protocol: how much a model of its reads is for its user to say.
_UNKNOWN_CONTEXT = 32_768


def family_of(provider: str, model: str) -> Family:
    """The family of a model."""
    return next(
        family for family in FAMILIES if family.provider == provider and re.match(family.pattern, model, re.IGNORECASE)
    )


def capabilities_of(family: Family, *, official: bool, context_length: int | None, concurrency: int) -> Capabilities:
    """What can be asked of a model.

    Args:
        official: whether it is served by the provider itself.
        context_length: tokens, by whoever knows better than the table.
        concurrency: requests at a time.
    """
    known = family.context_length if official else _UNKNOWN_CONTEXT
    return Capabilities(
        context_length=context_length or known,
        scores=False,
        chat=True,
        system_role=True,
        top_logprobs=0 if official and "logprobs" in family.lacks else _TOP_LOGPROBS[family.provider],
        concurrency=concurrency,
    )


class Parameters:
    """The parameters that a model takes.

    Args:
        lacks: those that it is known to refuse.
    """

    def __init__(self, lacks: frozenset[str] = frozenset()) -> None:
        self._dropped = set(lacks)
        self._renamed: dict[str, str] = {}
        self._merges_system = False

    def fit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body without what the model refuses."""
        fitted = {self._renamed.get(name, name): value for name, value in body.items()}
        fitted = {name: value for name, value in fitted.items() if name not in self._dropped}
        return without_system(fitted) if self._merges_system and has_system(fitted) else fitted

    def refused(self, name: str) -> str | None:
        """Remember that a parameter was refused.

        Returns:
            What was done about it, for the record, or None where nothing can be done.
        """
        if name == SYSTEM_ROLE:
            self._merges_system = True
            return "the model has no system role: the instruction begins the first user turn"
        other = _RENAMED.get(name)
        if other is not None and other not in self._renamed:
            self._renamed[name] = other
            return f"the model does not take {name!r}: {other!r} is sent instead"
        if name in ESSENTIAL or other is not None or name in self._dropped:
            return None
        self._dropped.update(_and_following(name))
        return f"the model does not take {name!r}: it is no longer sent"


def _and_following(name: str) -> Iterator[str]:
    yield name
    yield from _FOLLOWING.get(name, ())
