"""Which reply a request gets, apart from sockets: the script first, then the endpoint."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from icl.fake import anthropic, batches, openai
from icl.fake.brain import prompt_text, turns_of
from icl.fake.http import Reply, Request
from icl.fake.script import Script, Step
from icl.fake.tokens import PrefixCache


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and a path, what answers there, and the fields that its JSON body must have."""

    method: str
    path: str
    answer: Callable[..., Reply]
    needs: tuple[str, ...] = ()


_ENDPOINTS = (
    Endpoint("POST", "/v1/chat/completions", openai.chat_completions, ("model", "messages")),
    Endpoint("POST", "/v1/responses", openai.responses, ("model", "input")),
    Endpoint("POST", "/v1/responses/input_tokens", openai.input_tokens, ("input",)),
    Endpoint("POST", "/v1/decisions", openai.decisions, ("model", "input", "questions")),
    Endpoint("POST", "/v1/files", batches.upload),
    Endpoint("GET", r"/v1/files/([\w-]+)", batches.file_info),
    Endpoint("GET", r"/v1/files/([\w-]+)/content", batches.file_content),
    Endpoint("POST", "/v1/batches", batches.create_openai, ("input_file_id", "endpoint", "completion_window")),
    Endpoint("GET", r"/v1/batches/(\w+)", batches.retrieve_openai),
    Endpoint("POST", "/v1/messages", anthropic.messages, ("model", "max_tokens", "messages")),
    Endpoint("POST", "/v1/messages/count_tokens", anthropic.count_tokens, ("model", "messages")),
    Endpoint("POST", "/v1/messages/batches", batches.create_anthropic, ("requests",)),
    Endpoint("GET", r"/v1/messages/batches/(\w+)", batches.retrieve_anthropic),
    Endpoint("GET", r"/v1/messages/batches/(\w+)/results", batches.results_anthropic),
)


@dataclass(frozen=True, slots=True)
class Response:
    """A reply, and the seconds to wait before it is sent."""

    reply: Reply
    delay_s: float = 0.0


class Service:
    """What the server remembers between requests.

    Attributes:
        prefixes: prompts seen, for the figures on cached tokens.
        files, batches: by id.
    """

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.prefixes = PrefixCache()
        self.files: dict[str, batches.StoredFile] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._script = Script(steps)
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The next number for an id: 1, 2, ..."""
        return next(self._numbers)

    def respond(self, request: Request) -> Response:
        """Answer one request."""
        step = self._script.take(request.path, _prompt(request))
        id_header = "request-id" if _is_anthropic(request) else "x-request-id"
        reply = self._answer(request) if step is None else self._scripted(step, request)
        reply = replace(reply, headers={id_header: f"req_{self.number()}", **reply.headers})
        return Response(reply, step.delay_s if step else 0.0)

    def _scripted(self, step: Step, request: Request) -> Reply:
        status = step.status or 200
        if step.has_content:
            reply = step.content(request)
        elif status >= 400:
            reply = _error(request, status, f"scripted error {status}")
        elif status >= 300:
            reply = Reply(status)
        else:
            reply = self._answer(request)
        return step.dress(reply, request)

    def _answer(self, request: Request) -> Reply:
        if (request.method, request.path) == ("GET", "/v1/models"):
            return (anthropic if _is_anthropic(request) else openai).models(self, request)
        for endpoint in _ENDPOINTS:
            found = re.fullmatch(endpoint.path, request.path)
            if found and endpoint.method == request.method:
                return self._call(endpoint, request, found.groups())
        return _error(request, 404, f"no such endpoint: {request.method} {request.path}")

    def _call(self, endpoint: Endpoint, request: Request, names: tuple[str, ...]) -> Reply:
        if endpoint.needs and not isinstance(request.body, dict):
            return _error(request, 400, "the body must be a JSON object")
        for name in endpoint.needs:
            if name not in request.body:
                return _error(request, 400, f"{name}: Field required")
        try:
            return endpoint.answer(self, request, *names)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            return _error(request, 400, f"the request does not fit {endpoint.path}: {error!r}")


def _is_anthropic(request: Request) -> bool:
    return "anthropic-version" in request.headers or request.path.startswith("/v1/messages")


def _error(request: Request, status: int, message: str) -> Reply:
    return (anthropic if _is_anthropic(request) else openai).error(status, message)


def _prompt(request: Request) -> str:
    """What a script's `prompt` is matched with; nothing where the request has none."""
    try:
        return prompt_text(turns_of(request.body))
    except (TypeError, AttributeError):
        return ""
