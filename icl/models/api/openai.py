"""The API of OpenAI, which many servers speak: chat completions, responses and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from evals.types import Status
from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from icl.models.api.counting import prompt_tokens
from icl.models.api.dialect import Call, Settings, alternatives_of, cut, label_schema
from icl.models.api.failures import bad_response
from icl.models.api.money import Tokens
from icl.models.api.outcome import Outcome
from icl.models.api.schema import (
    Chat,
    ChatUsage,
    Decisions,
    Responses,
    ResponsesUsage,
    TokenLogprob,
    checked,
    refusal_of,
    text_of,
)
from icl.models.base import DecisionRequest, GenerateRequest, Prompt

#: The least that the responses API takes as `max_output_tokens`.
_LEAST_OUTPUT = 16


@dataclass(frozen=True)
class OpenAI:
    """Requests for a model of OpenAI, or of a server that speaks its language."""

    settings: Settings

    def generate(self, request: GenerateRequest) -> Call:
        """One answer, by the API that the settings name."""
        limit = request.max_tokens + self.settings.reasoning_tokens
        path, body = self._responses(request, limit) if self.settings.api == "responses" else self._chat(request, limit)
        read = read_responses if self.settings.api == "responses" else read_chat
        return Call(path, body, partial(read, request), prompt_tokens(request.prompt), limit)

    def decide(self, request: DecisionRequest) -> Call:
        """One choice question: the probability of every label."""
        body = {
            "model": self.settings.model,
            "input": _messages(request.prompt),
            "questions": [
                {
                    "type": "choice",
                    "name": "label",
                    "instructions": "Which label belongs to the last text?",
                    "choices": [{"value": choice} for choice in request.choices],
                }
            ],
        }
        return Call("/decisions", body, partial(read_decision, request), prompt_tokens(request.prompt), 0)

    def _chat(self, request: GenerateRequest, limit: int) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": _messages(request.prompt),
            # Servers that merely speak the language know the older name.
            "max_completion_tokens" if self.settings.official else "max_tokens": limit,
            **self._sampling(request.prompt),
        }
        if self._effort:
            body["reasoning_effort"] = self._effort
        if request.stop:
            body["stop"] = list(request.stop)
        if request.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        if request.choices:
            schema = {"name": "answer", "strict": True, "schema": label_schema(request.choices)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return "/chat/completions", body

    def _responses(self, request: GenerateRequest, limit: int) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "input": _messages(request.prompt),
            "max_output_tokens": max(limit, _LEAST_OUTPUT),
            "stream": False,  # some servers stream unless told
            "store": False,
            **self._sampling(request.prompt),
        }
        body.pop("seed", None)  # this API has none
        if self._effort:
            body["reasoning"] = {"effort": self._effort}
        if request.top_logprobs:
            body |= {"include": ["message.output_text.logprobs"], "top_logprobs": request.top_logprobs}
        if request.choices:
            schema = label_schema(request.choices)
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": schema}}
        return "/responses", body

    def _sampling(self, prompt: Prompt) -> dict[str, Any]:
        found: dict[str, Any] = {"temperature": self.settings.temperature, "seed": self.settings.seed}
        if self.settings.official and len(prompt.messages) > 1:
            # Requests with the same demonstrations go where their beginning is in the cache.
            found["prompt_cache_key"] = digest(_messages(prompt)[:-1])[:32]
        return {name: value for name, value in found.items() if value is not None}

    @property
    def _effort(self) -> str:
        if self.settings.effort is not None:
            return self.settings.effort
        return self.settings.family.effort if self.settings.official else ""


def read_chat(request: GenerateRequest, document: Any) -> Outcome:
    """The outcome of a chat completion."""
    answer = checked(Chat, document)
    (choice,) = answer.choices
    first = (choice.logprobs.content if choice.logprobs else None) or []
    parts = choice.message.content or []
    text, refusal = text_of(parts), choice.message.refusal or refusal_of(parts)
    status, detail = Status.OK, ""
    if choice.finish_reason is None:
        raise bad_response("the answer is cut off: it has no finish_reason", text, passes=True)
    if refusal:
        status, detail = Status.REFUSED, refusal
    elif choice.finish_reason == "content_filter":
        status, detail = Status.FILTERED, text
    elif choice.finish_reason == "length" and not request.top_logprobs:
        status, detail = Status.TRUNCATED, text
    return Outcome(
        cut(text, request.stop),
        status,
        detail,
        _chat_tokens(answer.usage),
        _alternatives(first),
        model=answer.model or "",
        fingerprint=answer.system_fingerprint or "",
    )


def read_responses(request: GenerateRequest, document: Any) -> Outcome:
    """The outcome of a response."""
    answer = checked(Responses, document)
    written = [item for item in answer.output if item.type == "message"]
    if len(written) > 1:
        raise bad_response(f"{len(written)} answers to one request", "")
    parts = [part for item in written for part in item.content or ()]
    text, refusal = text_of(parts), refusal_of(parts)
    reason = answer.incomplete_details.reason if answer.incomplete_details else None
    status, detail = Status.OK, ""
    if answer.status == "failed" and answer.error is not None:
        if answer.error.code == "context_length_exceeded":
            status, detail = Status.CONTEXT_EXCEEDED, answer.error.message or ""
        else:
            said = f"{answer.error.code}: {answer.error.message}"
            raise bad_response("the server failed to respond", said, passes=True)
    elif refusal:
        status, detail = Status.REFUSED, refusal
    elif answer.status == "incomplete" and reason == "content_filter":
        status, detail = Status.FILTERED, text
    elif answer.status == "incomplete" and reason == "max_output_tokens":
        status, detail = (Status.OK, "") if request.top_logprobs else (Status.TRUNCATED, text)
    elif answer.status != "completed":
        raise bad_response(f"the response is {answer.status}", text, passes=True)
    first = next((part.logprobs for part in parts if part.logprobs), [])
    tokens, alternatives = _response_tokens(answer.usage), _alternatives(first)
    return Outcome(cut(text, request.stop), status, detail, tokens, alternatives, model=answer.model or "")


def read_decision(request: DecisionRequest, document: Any) -> Outcome:
    """The outcome of a choice question."""
    answer = checked(Decisions, document)
    tokens, model = _response_tokens(answer.usage), answer.model or ""
    (decided,) = answer.answers
    if decided.type == "refusal":
        return Outcome(status=Status.REFUSED, detail="the model refused to decide", tokens=tokens, model=model)
    found = {entry.value: entry.probability for entry in decided.probabilities}
    if set(found) != set(request.choices) or len(decided.probabilities) != len(found):
        raise bad_response("the decision is not about the labels that were asked", str(found))
    return Outcome(tokens=tokens, probabilities=tuple(found[choice] for choice in request.choices), model=model)


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    if not prompt.messages:
        if not prompt.text:
            raise UsageError("the prompt is empty")
        return [{"role": "user", "content": prompt.text}]
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def _alternatives(tokens: Sequence[TokenLogprob]) -> tuple[tuple[str, float], ...]:
    """Those of the first token."""
    return alternatives_of([(entry.token, entry.logprob) for token in tokens[:1] for entry in token.top_logprobs])


def _chat_tokens(usage: ChatUsage | None) -> Tokens | None:
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    return Tokens(usage.prompt_tokens, details.cached_tokens or 0 if details else 0, 0, usage.completion_tokens)


def _response_tokens(usage: ResponsesUsage | None) -> Tokens | None:
    if usage is None:
        return None
    details = usage.input_tokens_details
    return Tokens(usage.input_tokens, details.cached_tokens or 0 if details else 0, 0, usage.output_tokens)
