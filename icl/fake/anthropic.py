"""Anthropic's wire format: messages, token counts, models and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from icl.fake.answers import Answer, answer
from icl.fake.brain import prompt_text, turns_of
from icl.fake.http import Reply, Request, event_stream, json_reply
from icl.fake.tokens import tokenize

if TYPE_CHECKING:
    from icl.fake.service import Service

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SAMPLING = ("temperature", "top_p", "top_k")
_NO_SAMPLING_SINCE = "2026-10-21"


def error(status: int, message: str) -> Reply:
    """The error body of a status."""
    kind = _ERRORS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return json_reply(status, {"type": "error", "error": {"type": kind, "message": message}})


def models(service: Service, request: Request) -> Reply:
    """GET /v1/models."""
    model = {
        "type": "model",
        "id": "any",
        "display_name": "Any",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    }
    return json_reply(200, {"data": [model], "has_more": False, "first_id": "any", "last_id": "any"})


def messages(service: Service, request: Request) -> Reply:
    """POST /v1/messages."""
    body = request.body
    if request.headers.get("anthropic-version", "") >= _NO_SAMPLING_SINCE:
        for name in _SAMPLING:
            if name in body:
                return error(400, f"{name}: Extra inputs are not permitted")
    wanted = (body.get("output_config") or {}).get("format") or {}
    written = answer(body, wanted.get("schema"), body["max_tokens"])
    message = {
        "id": f"msg_{service.number()}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": written.text}] if written.tokens else [],
        "stop_reason": "max_tokens" if written.truncated else "end_turn",
        "stop_sequence": None,
        "usage": _usage(service, body, written),
    }
    if body.get("stream"):
        return event_stream(_events(message, written), named=True)
    return json_reply(200, message)


def _events(message: Mapping[str, Any], written: Answer) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "ping"}
    for token in written.tokens:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": token}}
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def count_tokens(service: Service, request: Request) -> Reply:
    """POST /v1/messages/count_tokens."""
    return json_reply(200, {"input_tokens": len(tokenize(prompt_text(turns_of(request.body))))})


def _usage(service: Service, body: Mapping[str, Any], written: Answer) -> dict[str, Any]:
    """Only what stands before the last `cache_control` is looked up in the cache, and written to it."""
    marked, rest = _split_at_breakpoint(body)
    prefix = tokenize(marked)
    cached = service.prefixes.admit(body["model"], prefix)
    return {
        "input_tokens": len(tokenize(rest)),
        "output_tokens": len(written.tokens),
        "cache_creation_input_tokens": len(prefix) - cached,
        "cache_read_input_tokens": cached,
    }


def _split_at_breakpoint(body: Mapping[str, Any]) -> tuple[str, str]:
    """The prompt up to and including the last block with `cache_control`, and what follows."""
    texts: list[str] = []
    marked = 0
    for turn in ({"role": "system", "content": body.get("system")}, *body["messages"]):
        content = turn["content"] or ()
        for block in [{"text": content}] if isinstance(content, str) else content:
            texts.append(f"{turn['role']}: {block.get('text', '')}\n")
            marked = len(texts) if "cache_control" in block else marked
    marked = len(texts) if "cache_control" in body else marked
    return "".join(texts[:marked]), "".join(texts[marked:])
