"""The shapes of answers, checked: an answer that is not of its shape is no answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from icl.models.api.failures import bad_response

_Model = TypeVar("_Model", bound=BaseModel)
_Count = Annotated[int, Field(ge=0)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _CachedTokens(BaseModel):
    cached_tokens: _Count | None = None


class ChatUsage(BaseModel):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    prompt_tokens_details: _CachedTokens | None = None


class TopLogprob(BaseModel):
    token: str
    logprob: _Finite


class TokenLogprob(BaseModel):
    token: str = ""
    logprob: _Finite = 0.0
    top_logprobs: list[TopLogprob] = []


class _Logprobs(BaseModel):
    content: list[TokenLogprob] | None = None


class _Part(BaseModel):
    type: str
    text: str | None = None
    refusal: str | None = None
    logprobs: list[TokenLogprob] | None = None


def _in_parts(content: Any) -> Any:
    """Content as a list of parts, also where a server wrote plain text, or plain texts among the parts."""
    listed = [content] if isinstance(content, str) else content
    if not isinstance(listed, list):
        return content
    return [{"type": "text", "text": part} if isinstance(part, str) else part for part in listed]


#: What a model says, in parts: plain text is one part.
_Content = Annotated[list[_Part], BeforeValidator(_in_parts)]


def text_of(parts: Iterable[_Part]) -> str:
    """What the parts say as an answer, without what the model thought."""
    return "".join(part.text or "" for part in parts if part.type in ("text", "output_text"))


def refusal_of(parts: Iterable[_Part]) -> str:
    """The words of the first refusal among the parts, or ""."""
    return next((part.refusal or "refused" for part in parts if part.type == "refusal"), "")


class _ChatMessage(BaseModel):
    content: _Content | None = None
    refusal: str | None = None


class _ChatChoice(BaseModel):
    finish_reason: str | None = None
    message: _ChatMessage
    logprobs: _Logprobs | None = None


class Chat(BaseModel):
    """POST /chat/completions."""

    choices: list[_ChatChoice] = Field(min_length=1, max_length=1)
    model: str | None = None
    system_fingerprint: str | None = None
    usage: ChatUsage | None = None


class ResponsesUsage(BaseModel):
    input_tokens: _Count = 0
    output_tokens: _Count = 0
    input_tokens_details: _CachedTokens | None = None


class _Item(BaseModel):
    type: str
    content: _Content | None = None


class _Incomplete(BaseModel):
    reason: str | None = None


class _ServerError(BaseModel):
    code: str | None = None
    message: str | None = None


class Responses(BaseModel):
    """POST /responses."""

    status: str
    output: list[_Item]
    error: _ServerError | None = None
    incomplete_details: _Incomplete | None = None
    model: str | None = None
    usage: ResponsesUsage | None = None


class _ChoiceProbability(BaseModel):
    value: str
    probability: _Probability


class _DecisionAnswer(BaseModel):
    type: str
    probabilities: list[_ChoiceProbability] = []


class Decisions(BaseModel):
    """POST /decisions."""

    answers: list[_DecisionAnswer] = Field(min_length=1, max_length=1)
    model: str | None = None
    usage: ResponsesUsage | None = None


class MessageUsage(BaseModel):
    input_tokens: _Count = 0
    output_tokens: _Count = 0
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None


class ClaudeMessage(BaseModel):
    """POST /v1/messages."""

    content: _Content
    stop_reason: str | None = None
    model: str | None = None
    usage: MessageUsage | None = None


def decoded(content: bytes, redact: Callable[[Any], Any] = lambda value: value) -> Any:
    """A JSON document in UTF-8, whose texts can be written as UTF-8 again.

    Args:
        content: of a response.
        redact: takes keys out of it.

    Raises:
        Failure: it is none, as `bad_response`.
    """
    try:
        return redact(_writable(json.loads(content.decode("utf-8"), parse_constant=_refuse)))
    except UnicodeDecodeError:
        raise bad_response("the answer is not UTF-8", content, passes=True) from None
    except (ValueError, RecursionError):
        raise bad_response("the answer is not JSON", content, passes=True) from None


def checked(shape: type[_Model], document: Any) -> _Model:
    """The document as an answer of this shape.

    Raises:
        Failure: it has another shape, as `bad_response`.
    """
    raw = json.dumps(document, ensure_ascii=True)
    if isinstance(document, dict) and document.get("error") is not None and document.get("object") != "response":
        raise bad_response("the answer is an error in disguise", raw, passes=True)
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        raise bad_response(f"the answer has an unexpected shape at {place}", raw) from None


def _writable(value: Any) -> Any:
    """The value without lone surrogates: an escape in JSON can make a string that no encoding takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_writable(name): _writable(inner) for name, inner in value.items()}
    return [_writable(inner) for inner in value] if isinstance(value, list) else value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
