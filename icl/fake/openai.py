"""OpenAI's wire format: chat completions, responses, decisions, models and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from icl.fake.answers import Answer, answer
from icl.fake.brain import judge, prompt_text, read, turns_of
from icl.fake.http import Reply, Request, event_stream, json_reply
from icl.fake.tokens import tokenize

if TYPE_CHECKING:
    from icl.fake.service import Service

_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_ANY_OBJECT = {"type": "object", "properties": {"label": {"type": "string"}}}


def error(status: int, message: str) -> Reply:
    """The error body of a status."""
    kind, code = _ERRORS.get(status, ("invalid_request_error" if status < 500 else "server_error", None))
    return json_reply(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def models(service: Service, request: Request) -> Reply:
    """GET /v1/models."""
    listed = [{"id": "any", "object": "model", "created": 1, "owned_by": "fake"}]
    return json_reply(200, {"object": "list", "data": listed})


def chat_completions(service: Service, request: Request) -> Reply:
    """POST /v1/chat/completions."""
    body = request.body
    wanted = body.get("response_format") or {}
    written = answer(body, _schema(wanted, wanted.get("json_schema")), _limit(body, "max_completion_tokens"))
    rows = written.logprobs(body.get("top_logprobs") or 0) if body.get("logprobs") else None
    head = {
        "id": f"chatcmpl-{service.number()}",
        "created": 1,
        "model": body["model"],
        "system_fingerprint": "fp_fake",
    }
    usage = _chat_usage(service, body, written)
    choices = range(body.get("n") or 1)
    if body.get("stream"):
        with_usage = (body.get("stream_options") or {}).get("include_usage")
        events = _chat_chunks(head, written, rows, len(choices), usage if with_usage else None)
        return event_stream(events, named=False)
    choice = {
        "finish_reason": _finish(written),
        "logprobs": {"content": rows, "refusal": None} if rows is not None else None,
        "message": {"role": "assistant", "content": written.text, "refusal": None},
    }
    answered = [{"index": at, **choice} for at in choices]
    return json_reply(200, {**head, "object": "chat.completion", "choices": answered, "usage": usage})


def _chat_chunks(
    head: Mapping[str, Any], written: Answer, rows: list[Any] | None, n: int, usage: Mapping[str, Any] | None
) -> Iterator[Any]:
    def chunk(at: int, delta: Mapping[str, Any], finish: str | None = None, row: Any = None) -> dict[str, Any]:
        logprobs = {"content": [row], "refusal": None} if row else None
        choice = {"index": at, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    for at in range(n):
        yield chunk(at, {"role": "assistant", "content": "", "refusal": None})
        for position, token in enumerate(written.tokens):
            yield chunk(at, {"content": token}, row=rows[position] if rows else None)
        yield chunk(at, {}, _finish(written))
    if usage:
        yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
    yield "[DONE]"


def responses(service: Service, request: Request) -> Reply:
    """POST /v1/responses."""
    body = request.body
    wanted = (body.get("text") or {}).get("format") or {}
    written = answer(body, _schema(wanted, wanted), _limit(body, "max_output_tokens"))
    with_logprobs = "message.output_text.logprobs" in (body.get("include") or ())
    rows = written.logprobs(body.get("top_logprobs") or 0) if with_logprobs else []
    status = "incomplete" if written.truncated else "completed"
    number = service.number()
    text = {"type": "output_text", "text": written.text, "annotations": [], "logprobs": rows}
    message = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [text],
    }
    response = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if written.truncated else None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": [message],
        "parallel_tool_calls": True,
        "temperature": body.get("temperature", 1.0),
        "tool_choice": "auto",
        "tools": [],
        "top_p": body.get("top_p", 1.0),
        "usage": _usage(service, body, len(written.tokens)),
    }
    if not body.get("stream"):
        return json_reply(200, response)
    events = ({**event, "sequence_number": at} for at, event in enumerate(_response_events(response, written, rows)))
    return event_stream(events, named=True)


def _response_events(response: Mapping[str, Any], written: Answer, rows: list[Any]) -> Iterator[dict[str, Any]]:
    (message,) = response["output"]
    (text,) = message["content"]
    begun = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    item = {"output_index": 0, "item_id": message["id"]}
    part = {**item, "content_index": 0}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    empty = {**message, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": empty}
    yield {"type": "response.content_part.added", **part, "part": {**text, "text": "", "logprobs": []}}
    for at, token in enumerate(written.tokens):
        yield {"type": "response.output_text.delta", **part, "delta": token, "logprobs": rows[at : at + 1]}
    yield {"type": "response.output_text.done", **part, "text": written.text, "logprobs": rows}
    yield {"type": "response.content_part.done", **part, "part": text}
    yield {"type": "response.output_item.done", "output_index": 0, "item": message}
    yield {"type": f"response.{response['status']}", "response": response}


def input_tokens(service: Service, request: Request) -> Reply:
    """POST /v1/responses/input_tokens."""
    counted = len(tokenize(prompt_text(turns_of(request.body))))
    return json_reply(200, {"object": "response.input_tokens", "input_tokens": counted})


def decisions(service: Service, request: Request) -> Reply:
    """POST /v1/decisions."""
    body = request.body
    answers = [_decide(body, question) for question in body["questions"]]
    return json_reply(200, {"model": body["model"], "answers": answers, "usage": _usage(service, body, 0)})


def _decide(body: Mapping[str, Any], question: Mapping[str, Any]) -> dict[str, Any]:
    reading = read(turns_of(body))
    head = {"type": question["type"], "name": question.get("name")}
    if question["type"] == "predicate":
        return {**head, "probability": judge(reading, ("true", "false"))["true"]}
    if question["type"] == "score":
        levels = [level["label"] for level in question["levels"]]
        judged = judge(reading, levels)
        rows = [{"label": level, "value": at, "probability": judged[level]} for at, level in enumerate(levels)]
        mean = sum(row["value"] * row["probability"] for row in rows)
        return {**head, "score": mean, "confidence": max(judged.values()), "probabilities": rows}
    values = {str(choice["value"]): choice["value"] for choice in question["choices"]}
    judged = judge(reading, tuple(values))
    best = next(iter(judged))
    rows = [{"value": values[name], "probability": probability} for name, probability in judged.items()]
    return {**head, "choice": values[best], "confidence": judged[best], "probabilities": rows}


def _schema(wanted: Mapping[str, Any], holder: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON schema that a request asks for."""
    if wanted.get("type") == "json_object":
        return _ANY_OBJECT
    return (holder or {}).get("schema")


def _limit(body: Mapping[str, Any], name: str) -> int | None:
    return body.get(name, body.get("max_tokens"))


def _finish(written: Answer) -> str:
    return "length" if written.truncated else "stop"


def _chat_usage(service: Service, body: Mapping[str, Any], written: Answer) -> dict[str, Any]:
    """Chat completions name the figures in their own way."""
    usage = _usage(service, body, len(written.tokens))
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
        "prompt_tokens_details": {"cached_tokens": usage["input_tokens_details"]["cached_tokens"]},
        "completion_tokens_details": usage["output_tokens_details"],
    }


def _usage(service: Service, body: Mapping[str, Any], written: int) -> dict[str, Any]:
    prompt = tokenize(prompt_text(turns_of(body)))
    return {
        "input_tokens": len(prompt),
        "input_tokens_details": {
            "cached_tokens": service.prefixes.admit(body["model"], prompt),
            "cache_write_tokens": 0,
        },
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": len(prompt) + written,
    }
