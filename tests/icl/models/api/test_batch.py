"""Batches: partial, damaged and shuffled results, and a process that comes back."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from email.utils import formatdate
from typing import Any

import pytest

from evals.learner import Context
from evals.types import Status
from fewshot.core.errors import ModelUnavailable, UsageError
from icl.fake import FakeServer
from icl.models.api.batch import OpenAIBatches
from icl.models.api.model import AnthropicModel, OpenAIModel
from icl.models.api.retry import Failure
from icl.models.api.transport import Reply
from icl.models.base import DecisionRequest, GenerateRequest, Message, Prompt

from .conftest import KEY, PROMPT, FakeClock, chat, message
from .test_engine import DictLedger, asking

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])

TEXTS = [f"text {at}" for at in range(12)]


class BatchServer:
    """Both batch APIs. `spoil` takes a result line of either and its number, and returns what stands in the file.

    Attributes:
        batches: the requests of every batch, {custom_id: body}.
    """

    def __init__(self, spoil: Any = lambda line, at: line, looks: int = 1) -> None:
        self.batches: list[dict[str, Any]] = []
        self.spoil = spoil
        self.looks = looks
        self._upload: dict[str, Any] = {}

    def __call__(self, seen: tuple[str, dict[str, str], Any]) -> Any:
        path, _, body = seen
        if path == "/v1/files":
            lines = [json.loads(line) for line in body.splitlines() if line.startswith(b'{"custom_id"')]
            self._upload = {line["custom_id"]: line["body"] for line in lines}
            return {"id": "file-in"}
        if path == "/v1/batches":
            self.batches.append(self._upload)
            return {"id": f"b{len(self.batches)}"}
        if path == "/v1/messages/batches":
            self.batches.append({each["custom_id"]: each["params"] for each in body["requests"]})
            return {"id": f"b{len(self.batches)}"}
        number = int(re.findall(r"/[bf](\d+)", path)[0])
        if path.endswith(("/content", "/results")):
            return self._results(number, openai="files" in path)
        self.looks -= 1
        done = self.looks < 0
        if path.startswith("/v1/messages"):
            return {"id": f"b{number}", "processing_status": "ended" if done else "in_progress"}
        return {"id": f"b{number}", "status": "completed" if done else "in_progress", "output_file_id": f"f{number}"}

    def _results(self, number: int, openai: bool) -> str:
        lines = []
        for at, (key, body) in enumerate(self.batches[number - 1].items()):
            content = body["messages"][-1]["content"]
            text = content if openai else content[0]["text"]
            if openai:
                line: Any = {"custom_id": key, "response": {"status_code": 200, "body": chat(text)}, "error": None}
            else:
                line = {"custom_id": key, "result": {"type": "succeeded", "message": message(text)}}
            lines.append(self.spoil(line, at) if number == 1 else line)
        random.Random(3).shuffle(lines)
        return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines if line is not None)


def run(model: Any, server: BatchServer, scripted: Any, provider: str, **options: Any) -> list[Any]:
    scripted(server)
    return model(provider, batch=True, **options).generate(asking(*TEXTS))


@pytest.mark.promise(13)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_answers_are_matched_by_their_ids(scripted, model, clock, provider: str) -> None:
    server = BatchServer(looks=3)
    found = run(model, server, scripted, provider)
    assert [(generation.text, generation.requests) for generation in found] == [(text, 1) for text in TEXTS]
    assert len(server.batches) == 1
    assert clock.slept.count(20.0) == 3, "looked at now and then"


def spoiled(kind: str, provider: str) -> Any:
    """Spoils the results with even numbers."""
    failures = {
        "missing": None,
        "damaged": '{"custom_id": "x", "resp',
        "list": "[]",
        "other-id": {"custom_id": "stranger", "result": {"type": "succeeded", "message": message("evil")}},
        "expired": {"result": {"type": "expired"}, "response": None, "error": {"code": "batch_expired"}},
        "canceled": {"result": {"type": "canceled"}, "response": None, "error": {"code": "cancelled"}},
        "errored": {
            "result": {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "x"}}},
            "response": {"status_code": 500, "body": {"error": {"message": "x"}}},
        },
        "bad-body": {
            "result": {"type": "succeeded", "message": {}},
            "response": {"status_code": 200, "body": {"choices": []}},
        },
    }

    def spoil(line: dict[str, Any], at: int) -> Any:
        if at % 2:
            return line
        failure = failures[kind]
        return {"custom_id": line["custom_id"], **failure} if isinstance(failure, dict) else failure

    return spoil


@pytest.mark.promise(13)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "kind", ["missing", "damaged", "list", "other-id", "expired", "canceled", "errored", "bad-body"]
)
def test_what_a_batch_lost_goes_into_the_next(scripted, model, provider: str, kind: str) -> None:
    server = BatchServer(spoiled(kind, provider))
    found = run(model, server, scripted, provider)
    assert [(generation.text, generation.status) for generation in found] == [(text, Status.OK) for text in TEXTS]
    assert [len(batch) for batch in server.batches] == [12, 6]


@pytest.mark.promise(13)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_request_that_is_wrong_is_not_asked_again(scripted, model, provider: str) -> None:
    error = {"type": "invalid_request_error", "message": "prompt is too long"}

    def spoil(line: dict[str, Any], at: int) -> Any:
        result = {"type": "errored", "error": {"type": "error", "error": error}}
        reply = {"status_code": 400, "body": {"error": error}}
        return line if at else {"custom_id": line["custom_id"], "result": result, "response": reply}

    found = run(model, server := BatchServer(spoil), scripted, provider)
    assert [generation.status for generation in found] == [Status.CONTEXT_EXCEEDED] + [Status.OK] * 11
    assert len(server.batches) == 1


@pytest.mark.promise(13)
@pytest.mark.promise(14)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_process_that_comes_back_asks_the_same_batch(scripted, model, provider: str) -> None:
    server, ledger = BatchServer(), DictLedger()
    scripted(server)
    first = model(provider, batch=True)
    first.attend(Context(ledger=ledger))
    whole = first.generate(asking(*TEXTS))
    # Killed while the batch was at work: that it was submitted is on record, its answers are not.
    left = DictLedger({key: record for key, record in ledger.items() if key.startswith("batch:")})
    again = model(provider, batch=True)
    again.attend(Context(ledger=left))
    assert again.generate(asking(*TEXTS)) == whole
    assert len(server.batches) == 1


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_equal_requests_are_sent_once(scripted, model, provider: str) -> None:
    scripted(server := BatchServer())
    found = model(provider, batch=True).generate(asking("a", "a", "b"))
    assert [generation.text for generation in found] == ["a", "a", "b"]
    assert [len(batch) for batch in server.batches] == [2]


@pytest.mark.promise(3)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_batches_that_are_refused_stop_the_run(scripted, model, provider: str) -> None:
    scripted((401, {"error": {"message": "no", "code": "invalid_api_key"}}))
    with pytest.raises(ModelUnavailable, match="cannot be submitted"):
        model(provider, batch=True).generate(asking(*TEXTS))
    assert len(scripted.seen) == 1


@pytest.mark.promise(13)
@pytest.mark.promise(37)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_batch_that_may_have_been_accepted_is_not_submitted_again(scripted, model, tmp_path, provider: str) -> None:
    (tmp_path / "key").write_text(KEY)
    scripted(lambda seen: {"id": "file-in"} if seen[0] == "/v1/files" else f"<html>{KEY}</html>")
    with pytest.raises(ModelUnavailable, match="may have been accepted") as caught:
        model(provider, batch=True, key_file=tmp_path / "key").generate(asking(*TEXTS))
    assert sum("batches" in path for path, _, _ in scripted.seen) == 1
    assert KEY not in str(caught.value)


@pytest.mark.promise(2)
def test_a_busy_batch_api_may_name_a_date() -> None:
    class Busy:
        async def get(self, path: str) -> Reply:
            return Reply(429, b"", {"retry-after": formatdate(time.time() + 1000, usegmt=True)})

    with pytest.raises(Failure) as caught:
        asyncio.run(OpenAIBatches(Busy()).results("b"))  # type: ignore[arg-type]
    assert caught.value.wait == pytest.approx(1000, abs=100)


def test_decisions_are_not_batched(model) -> None:
    with pytest.raises(UsageError, match="--batch"):
        model(batch=True).decide([DecisionRequest(PROMPT, ("a", "b"))])


@pytest.mark.promise(13)
def test_against_the_stand_in(clock: FakeClock) -> None:
    prompt = Prompt(messages=(Message("user", "good"), Message("assistant", "yes"), Message("user", "a good one")))
    with FakeServer() as server:
        for kind, url in ((OpenAIModel, server.openai_url), (AnthropicModel, server.url)):
            asked = kind("m", base_url=url, batch=True, cache=False, clock=clock)
            assert [g.text for g in asked.generate([GenerateRequest(prompt)] * 2)] == ["yes", "yes"]
