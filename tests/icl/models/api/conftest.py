"""A scripted server on this machine, a clock that need not be waited for, and models that use both."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from icl.models.api.model import AnthropicModel, APIModel, OpenAIModel
from icl.models.base import GenerateRequest, Message, Prompt

KEY = "sk-sentinel-0123456789abcdef"
PROMPT = Prompt(
    messages=(
        Message("system", "Name the sentiment."),
        Message("user", "good film"),
        Message("assistant", "positive"),
        Message("user", "a lovely film"),
    )
)
ASK = GenerateRequest(PROMPT, max_tokens=8)


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
            self.now += seconds
        await asyncio.sleep(0)


def chat(text: str | None = "positive", finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}
    choice = {"index": 0, "finish_reason": finish, "message": message, "logprobs": more.pop("logprobs", None)}
    return {"object": "chat.completion", "model": "m-1", "choices": [choice], "usage": usage, **more}


def message(text: str | None = "positive", stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    """A message of Claude."""
    content = [] if text is None else [{"type": "text", "text": text}]
    usage = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 4}
    return {"type": "message", "model": "m-1", "content": content, "stop_reason": stop, "usage": usage, **more}


def response(text: str = "positive", **more: Any) -> dict[str, Any]:
    """An answer of the responses API."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"type": "message", "content": [part]}
    usage = {"input_tokens": 9, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 4}}
    return {"object": "response", "status": "completed", "model": "m-1", "output": [item], "usage": usage, **more}


class Scripted:
    """A server whose replies follow a script; the last one is repeated.

    Attributes:
        seen: (path, headers, body) of every request.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.script: list[Any] = []
        self.seen: list[tuple[str, dict[str, str], Any]] = []

    def __call__(self, *script: Any) -> Scripted:
        """Reply with bodies (dict, str, bytes), or with (status, body) or (status, body, headers)."""
        self.script = list(script)
        return self

    def reply(self, request: Request) -> Response:
        body = request.get_data()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.path, headers, json.loads(body) if body[:1] == b"{" else body))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(step):
            step = step(self.seen[-1])
        status, content, extra = (*step, {}, {})[:3] if isinstance(step, tuple) else (200, step, {})
        raw = json.dumps(content) if isinstance(content, (dict, list)) or content is None else content
        return Response(raw, status, extra, content_type="application/json")

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.seen]


@pytest.fixture
def scripted(httpserver: HTTPServer) -> Scripted:
    server = Scripted(httpserver)
    httpserver.expect_request(re.compile(".*")).respond_with_handler(server.reply)
    return server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, server or cache of whoever runs the tests."""
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(scripted: Scripted, clock: FakeClock) -> Callable[..., APIModel]:
    """Makes models of the scripted server."""

    def make(provider: str = "openai", name: str = "m", **options: Any) -> APIModel:
        kind = {"openai": OpenAIModel, "anthropic": AnthropicModel}[provider]
        url = {"openai": f"{scripted.url}/v1", "anthropic": scripted.url}[provider]
        return kind(name, **{"base_url": url, "clock": clock, "cache": False, **options})

    return make
