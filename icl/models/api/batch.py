"""The batch APIs: many requests at half the price, answered within a day, collected by whoever comes back for them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from evals.learner import Ledger
from evals.types import Status
from fewshot.core.errors import ModelUnavailable
from icl.models.api.dialect import Call
from icl.models.api.failures import failure_of
from icl.models.api.keys import Redactor
from icl.models.api.retry import Clock, Failure, Policy, persist
from icl.models.api.schema import decoded
from icl.models.api.transport import Reply, Transport

#: A request waits as long as a batch may take, and is put into another batch at most twice.
BATCH_POLICY = Policy(timeout=26 * 3600.0, deadline=80 * 3600.0, max_retries=2, first_wait=0.1, longest_wait=1.0)
#: For the few requests that submit a batch and look after it.
_CARE = Policy(timeout=120.0, deadline=1800.0, max_retries=20, first_wait=1.0, longest_wait=60.0)
#: What a batch says of a request that it could not answer, as an HTTP status.
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}

#: A batch that was accepted will be paid for, even if we were not told.
_SUBMISSION = replace(_CARE, once_paid=True)
#: Replies and failures by the key of the request. Requests that are not in it were lost.
Results = Mapping[str, Reply | Failure]


class Batches(Protocol):
    """One provider's batch API."""

    async def submit(self, calls: Mapping[str, Call]) -> str:
        """Begin a batch of requests by their keys, and return its id. Raises Failure."""
        ...

    async def results(self, batch: str) -> Results | None:
        """What came of a batch, or None while it is at work. Raises Failure."""
        ...


class Batching:
    """Gathers requests into batches and waits for their answers.

    Which batch a request is in stands in the ledger: a process that comes back after its death asks that batch.

    Args:
        batches: the provider's API.
        ledger: where it is noted.
        redact: takes keys out of messages.
        clock: tells and passes the time.
    """

    #: Requests in one batch; providers allow some more.
    MOST: ClassVar[int] = 10_000
    #: Seconds without a new request after which a batch is submitted.
    LINGER: ClassVar[float] = 2.0
    #: Seconds between two looks at a batch.
    LOOK_EVERY: ClassVar[float] = 20.0

    def __init__(self, batches: Batches, ledger: Callable[[], Ledger], redact: Redactor, clock: Clock) -> None:
        self._batches = batches
        self._ledger = ledger
        self._redact = redact
        self._clock = clock
        self._jitter = random.Random()
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._gathered: dict[str, Call] = {}
        self._gathering: asyncio.Task[None] | None = None
        self._keys: dict[str, set[str]] = {}  # those waiting for a batch, by its id
        self._answered: set[str] = set()
        self._watching: dict[str, asyncio.Task[None]] = {}

    async def send(self, key: str, call: Call) -> Reply:
        """The reply to a call, whenever its batch has it.

        Raises:
            Failure: the batch did not answer it.
            ModelUnavailable: batches cannot be submitted.
        """
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
            note = self._ledger().get(_place(key))
            # Who asks again for what a batch has answered could not use the answer.
            if note is not None and note["batch"] and key not in self._answered:
                self._watch(note["batch"], [key])
            else:
                self._gathered[key] = call
                if self._gathering is None:
                    self._begin_gathering()
        return await asyncio.shield(self._waiting[key])

    def _begin_gathering(self) -> None:
        self._gathering = asyncio.create_task(self._gather())
        self._gathering.add_done_callback(self._give_up)

    def _give_up(self, task: asyncio.Task[None]) -> None:
        """Nobody may wait for a task that ended by an accident."""
        if not task.cancelled() and (error := task.exception()) is not None:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)
            self._waiting.clear()

    async def _gather(self) -> None:
        """Submit what was gathered as soon as nothing more comes."""
        before = -1
        while before < len(self._gathered) < self.MOST:
            before = len(self._gathered)
            await self._clock.sleep(self.LINGER)
        calls = dict(list(self._gathered.items())[: self.MOST])
        self._gathered = {key: call for key, call in self._gathered.items() if key not in calls}
        self._gathering = None
        if self._gathered:
            self._begin_gathering()
        try:
            batch, _ = await persist(lambda: self._batches.submit(calls), _SUBMISSION, self._clock, self._jitter)
        except Failure as failure:
            self._settle(dict.fromkeys(calls, self._not_submitted(failure)))
            return
        for key in calls:
            self._ledger().put(_place(key), {"batch": batch})
        self._watch(batch, calls)

    def _not_submitted(self, failure: Failure) -> ModelUnavailable:
        doubt = "" if failure.free else ". It may have been accepted: look at the provider's list before you resume"
        return ModelUnavailable(self._redact.text(f"the batch cannot be submitted: {failure.detail}{doubt}"))

    def _watch(self, batch: str, keys: Iterable[str]) -> None:
        self._keys.setdefault(batch, set()).update(keys)
        if batch not in self._watching:
            self._watching[batch] = asyncio.create_task(self._look_after(batch))
            self._watching[batch].add_done_callback(self._give_up)

    async def _look_after(self, batch: str) -> None:
        """Wait for a batch, and hand its results to those who wait for them."""
        try:
            while True:
                results, _ = await persist(lambda: self._batches.results(batch), _CARE, self._clock, self._jitter)
                if results is not None:
                    break
                await self._clock.sleep(self.LOOK_EVERY)
        except Failure as failure:
            lost = ModelUnavailable(self._redact.text(f"batch {batch}: {failure.detail}"))
            self._settle(dict.fromkeys(self._keys.pop(batch), lost))
            return
        finally:
            del self._watching[batch]
        found: dict[str, Reply | Exception] = {}
        for key in self._keys.pop(batch):
            found[key] = results.get(key) or Failure(Status.ERROR, f"batch {batch} lost the request", retry=True)
        self._answered.update(found)
        self._settle(found)

    def _settle(self, found: Mapping[str, Reply | Exception]) -> None:
        for key, result in found.items():
            future = self._waiting.pop(key, None)
            if future is None or future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


class OpenAIBatches:
    """Batches of OpenAI: a file of requests goes in, a file of answers and one of errors come out."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def submit(self, calls: Mapping[str, Call]) -> str:
        """Upload the requests, which are all of one kind, and begin a batch."""
        (path,) = {f"/v1{call.path}" for call in calls.values()}
        requests = [{"custom_id": k, "method": "POST", "url": path, "body": call.body} for k, call in calls.items()]
        uploaded = await self._transport.upload(
            "/files", {"purpose": "batch"}, "requests.jsonl", b"".join(map(_line, requests))
        )
        body = {"input_file_id": _text(uploaded, "id"), "endpoint": path, "completion_window": "24h"}
        return _text(await self._transport.post("/batches", body), "id")

    async def results(self, batch: str) -> Results | None:
        """What came of a batch, or None while it is at work."""
        state = _document(await self._transport.get(f"/batches/{batch}"))
        status = state.get("status")
        if status not in ("completed", "failed", "expired", "cancelled"):
            return None
        found: dict[str, Reply | Failure] = {}
        for name in ("output_file_id", "error_file_id"):
            if identity := state.get(name):
                reply = await self._transport.get(f"/files/{identity}/content")
                found.update(_each(_lines(reply), _openai_result))
        if status == "failed" and not found:
            raise Failure(Status.ERROR, f"the batch failed: {json.dumps(state.get('errors'))[:500]}")
        return found


class AnthropicBatches:
    """Message batches of Anthropic."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def submit(self, calls: Mapping[str, Call]) -> str:
        """Begin a batch."""
        requests = [{"custom_id": key, "params": call.body} for key, call in calls.items()]
        return _text(await self._transport.post("/v1/messages/batches", {"requests": requests}), "id")

    async def results(self, batch: str) -> Results | None:
        """What came of a batch, or None while it is at work."""
        path = f"/v1/messages/batches/{batch}"
        if _document(await self._transport.get(path)).get("processing_status") != "ended":
            return None
        # Not from `results_url`: that could lead to another host.
        return _each(_lines(await self._transport.get(f"{path}/results")), _anthropic_result)


def _openai_result(line: dict[str, Any]) -> Reply | Failure:
    response = line.get("response")
    if not isinstance(response, dict):
        return Failure(Status.ERROR, f"not answered in the batch: {json.dumps(line.get('error'))[:500]}", retry=True)
    return Reply(int(response.get("status_code", 500)), json.dumps(response.get("body")).encode())


def _anthropic_result(line: dict[str, Any]) -> Reply | Failure:
    result = line["result"]
    if result["type"] == "succeeded":
        return Reply(200, json.dumps(result["message"]).encode())
    if result["type"] == "errored":
        error = result.get("error") or {}
        kind = error.get("error", error).get("type", "")
        return Reply(_STATUS_OF_TYPE.get(kind, 500), json.dumps(error).encode())
    return Failure(Status.ERROR, f"the request was {result['type']} in the batch", retry=True)


def _each(
    lines: Iterator[dict[str, Any]], read: Callable[[dict[str, Any]], Reply | Failure]
) -> dict[str, Reply | Failure]:
    """Results by custom id, the only thing that says which request a line answers; what cannot be read is lost."""
    found = {}
    for line in lines:
        try:
            found[line["custom_id"]] = read(line)
        except (KeyError, TypeError, AttributeError, ValueError):
            continue
    return found


def _content(reply: Reply) -> bytes:
    if reply.status != 200:
        raise failure_of(reply, {}, time.time())
    return reply.content


def _document(reply: Reply) -> dict[str, Any]:
    document = decoded(_content(reply))
    if not isinstance(document, dict):
        raise Failure(Status.BAD_RESPONSE, "the batch API answered with something else than an object", retry=True)
    return document


def _text(reply: Reply, name: str) -> str:
    value = _document(reply).get(name)
    if not isinstance(value, str) or not value:
        raise Failure(Status.BAD_RESPONSE, f"the batch API answered without {name!r}", retry=True)
    return value


def _lines(reply: Reply) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file, without those that are damaged."""
    for line in _content(reply).splitlines():
        try:
            document = decoded(line)
        except Failure:
            continue
        if isinstance(document, dict):
            yield document


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def _place(key: str) -> str:
    """Where the ledger notes which batch a request is in."""
    return f"batch:{key}"
