"""The API of Anthropic: messages. It takes no sampling parameters, and shows no log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from evals.types import Status
from fewshot.core.errors import UsageError
from icl.models.api.counting import prompt_tokens
from icl.models.api.dialect import Call, Settings, cut, label_schema
from icl.models.api.failures import bad_response
from icl.models.api.money import Tokens
from icl.models.api.outcome import Outcome
from icl.models.api.schema import ClaudeMessage, MessageUsage, checked, text_of
from icl.models.base import GenerateRequest, Prompt

_STATUSES = {
    "max_tokens": Status.TRUNCATED,
    "refusal": Status.REFUSED,
    "model_context_window_exceeded": Status.CONTEXT_EXCEEDED,
}


@dataclass(frozen=True)
class Anthropic:
    """Requests for a model of Anthropic."""

    settings: Settings

    def generate(self, request: GenerateRequest) -> Call:
        """One answer."""
        limit = request.max_tokens + self.settings.reasoning_tokens
        system, messages = _conversation(request.prompt)
        body: dict[str, Any] = {"model": self.settings.model, "max_tokens": limit, "messages": messages}
        if system:
            body["system"] = system
        # White space alone is refused as a stop sequence; the answer is cut here in any case.
        if stop := [word for word in request.stop if word.strip()]:
            body["stop_sequences"] = stop
        config: dict[str, Any] = {}
        if request.choices:
            config["format"] = {"type": "json_schema", "schema": label_schema(request.choices)}
        if self.settings.effort is not None:
            config["effort"] = self.settings.effort
        if config:
            body["output_config"] = config
        return Call("/v1/messages", body, partial(read_message, request), prompt_tokens(request.prompt), limit)


def read_message(request: GenerateRequest, document: Any) -> Outcome:
    """The outcome of a message."""
    answer = checked(ClaudeMessage, document)
    text = text_of(answer.content)
    if answer.stop_reason is None:
        raise bad_response("the answer is cut off: it has no stop_reason", text, passes=True)
    status = _STATUSES.get(answer.stop_reason, Status.OK)
    detail = "" if status is Status.OK else text or answer.stop_reason
    return Outcome(cut(text, request.stop), status, detail, _tokens(answer.usage), model=answer.model or "")


def _conversation(prompt: Prompt) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """System blocks and messages; the end of what all queries share is marked for the provider's cache."""
    if not prompt.messages:
        if not prompt.text:
            raise UsageError("the prompt is empty")
        return [], [{"role": "user", "content": prompt.text}]
    system = [_block(message.content) for message in prompt.messages if message.role == "system"]
    turns = [message for message in prompt.messages if message.role != "system"]
    messages: list[dict[str, Any]] = [{"role": turn.role, "content": [_block(turn.content)]} for turn in turns]
    shared = messages[-2]["content"] if len(messages) > 1 else system
    if shared:
        shared[-1]["cache_control"] = {"type": "ephemeral"}
    return system, messages


def _block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _tokens(usage: MessageUsage | None) -> Tokens | None:
    """`input_tokens` of this API are those that neither came from the cache nor went to it."""
    if usage is None:
        return None
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return Tokens(usage.input_tokens + cached + written, cached, written, usage.output_tokens)
