"""The engine: every request through ledger, cache, budget, rate limits and retries, in this order."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.learner import Budget, Context
from evals.types import Status, Usage
from fewshot.core.errors import FewshotError, ModelUnavailable, UsageError
from icl.models.api.cache import ResponseCache, request_key
from icl.models.api.capabilities import Parameters
from icl.models.api.dialect import Call
from icl.models.api.failures import failure_of
from icl.models.api.keys import Redactor
from icl.models.api.limits import Rate
from icl.models.api.money import Prices, Tokens
from icl.models.api.outcome import Outcome
from icl.models.api.retry import Clock, Failure, Policy, persist
from icl.models.api.schema import decoded
from icl.models.api.transport import Reply

#: Requests that fail in the same way, one after the other, before the run is given up.
_ALIKE_IN_A_ROW = 3
#: Characters of an answer that are shown where the run is given up for it.
_SHOWN = 200
#: Seconds between two messages about waiting.
_TELL_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Answered:
    """An outcome and what it took this time."""

    outcome: Outcome
    usage: Usage


class _Outdated(Exception):
    """What the model takes was found out while the request waited: it is to be made anew."""


@dataclass(frozen=True)
class Limits:
    """How fast a server may be asked.

    Args:
        concurrency: requests at a time.
        rpm, tpm: requests and tokens per minute; None is no limit.
    """

    concurrency: int = 8
    rpm: float | None = None
    tpm: float | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "rpm", "tpm"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"--{name} {value:g} lets nothing through; use a number above 0")


class Engine:
    """Asks one model at one server.

    Args:
        name: for messages.
        identity: provider, base URL, model and revision: part of every key.
        send: brings the reply to a call with this key; raises Failure.
        parameters: what the model takes.
        policy, limits, prices: as they say.
        budget: of this model, beside that of the run.
        redact: takes keys out of everything that comes in.
        cache: answers of other runs, or None.
        clock: tells and passes the time.
        note: keeps a remark for the record.
        first_alone: whether the first request is answered before others are sent.
    """

    def __init__(
        self,
        name: str,
        identity: dict[str, Any],
        send: Callable[[str, Call], Awaitable[Reply]],
        *,
        parameters: Parameters,
        policy: Policy,
        limits: Limits,
        prices: Prices,
        budget: Budget,
        redact: Redactor,
        cache: ResponseCache | None,
        clock: Clock,
        note: Callable[[str], None],
        first_alone: bool = True,
    ) -> None:
        self.name = name
        self.identity = identity
        self._policy = policy
        self._prices = prices
        self.context = Context()
        self._send = send
        self._parameters = parameters
        self._limits = limits
        self._budget = budget
        self._redact = redact
        self._cache = cache
        self._clock = clock
        self._note = note
        self._requests = Rate(limits.rpm, clock)
        self._tokens = Rate(limits.tpm, clock)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._first = asyncio.Lock()
        self._reached = not first_alone
        self._alike = ("", 0)
        self._given_up: ModelUnavailable | None = None
        self._told_at: float | None = None
        self._session = secrets.token_hex(8)
        self._jitter = random.Random()

    def attend(self, ctx: Context) -> None:
        """Spend by this context from now on, and hope again."""
        self.context = ctx
        self._given_up = None

    async def ask(self, calls: Sequence[Call]) -> list[Answered]:
        """Answer every call, failures included, in their order.

        Raises:
            BudgetReached: before the request that would pass a limit; requests on their way are finished and noted.
            ModelUnavailable: no request can succeed.
        """
        found: list[Answered | None] = [None] * len(calls)
        stopped: list[FewshotError] = []
        waiting = iter(enumerate(calls))

        async def work() -> None:
            for at, call in waiting:
                if stopped:
                    return
                try:
                    found[at] = await self._answer(call)
                except FewshotError as error:
                    stopped.append(error)

        await asyncio.gather(*(work() for _ in range(min(len(calls), self._limits.concurrency))))
        if stopped:
            raise stopped[0]
        return [answered for answered in found if answered is not None]

    async def _answer(self, call: Call) -> Answered:
        while True:
            body = self._parameters.fit(call.body)
            if (broken := _lone_surrogate(body)) is not None:
                detail = f"the prompt holds {broken}, half of a character, which cannot be sent"
                return Answered(Outcome(status=Status.ERROR, detail=detail), Usage())
            fitted = replace(call, body=body)
            key = request_key(self.identity, call.path, body)
            if (known := self._recall(key)) is not None:
                return known
            try:
                outcome, usage = await self._ask_server(key, fitted)
            except _Outdated:
                continue
            except Failure as failure:
                if failure.parameter and self._adapts(failure.parameter, body):
                    continue
                self._reached = self._reached or not failure.malformed
                return self._failed(failure)
            return self._keep(key, outcome, usage)

    def _recall(self, key: str) -> Answered | None:
        """What the run's ledger or the cache knows of a request."""
        if (record := self.context.ledger.get(key)) is not None:
            outcome, usage = Outcome.from_json(record["outcome"]), Usage(**record["usage"])
            # An answer that an interrupted run paid for is counted when it is used, and only then.
            return Answered(outcome, _saved(outcome) if record["session"] == self._session else usage)
        if self._cache is None or (stored := self._cache.get(key)) is None:
            return None
        outcome = Outcome.from_json(stored)
        return self._noted(key, outcome, _saved(outcome))

    def _keep(self, key: str, outcome: Outcome, usage: Usage) -> Answered:
        if self._cache is not None and outcome.worth_keeping:
            self._cache.put(key, outcome.to_json(), f"{self.identity['provider']} {self.identity['model']}")
        return self._noted(key, outcome, usage)

    def _noted(self, key: str, outcome: Outcome, usage: Usage) -> Answered:
        counted = {name: getattr(usage, name) for name in Usage.__dataclass_fields__}
        self.context.ledger.put(key, {"outcome": outcome.to_json(), "usage": counted, "session": self._session})
        return Answered(outcome, usage)

    async def _ask_server(self, key: str, call: Call) -> tuple[Outcome, Usage]:
        if self._given_up is not None:
            raise self._given_up
        if self._reached:
            async with self._slots:
                return await self._persist(key, call)
        # The first request goes alone: a wrong key is met once, and the prompt cache is filled before the others come.
        async with self._first:
            if self._parameters.fit(call.body) != call.body:
                raise _Outdated
            if not self._reached and self._given_up is None:
                return await self._persist(key, call)
        return await self._ask_server(key, call)

    async def _persist(self, key: str, call: Call) -> tuple[Outcome, Usage]:
        spent, previous = Usage(), ""

        async def attempt() -> Outcome:
            nonlocal spent, previous
            charged = actual = self._charge(call)
            for budget in (self.context.budget, self._budget):
                budget.charge(charged)
            try:
                outcome = self._read(await self._send(key, call), call)
                actual = self._usage(outcome)
                return outcome
            except Failure as failure:
                if failure.free:
                    actual = Usage(requests=1)
                lasts = failure.malformed == previous and not failure.passes
                if failure.malformed and (lasts or failure.malformed == self._alike[0]):
                    failure.retry = False
                previous = failure.malformed
                raise
            finally:
                # Where a server does not count, the most that it may have cost counts for the limits.
                counted = charged if actual.usd is None else actual
                for budget in (self.context.budget, self._budget):
                    budget.settle(charged, counted)
                spent = spent + actual

        def pace() -> float:
            tokens = call.prompt_tokens + call.max_tokens
            return max(self._requests.reserve(1), self._tokens.reserve(tokens))

        try:
            outcome, attempts = await persist(
                attempt, self._policy, self._clock, self._jitter, pace=pace, on_wait=self._tell_wait
            )
        except Failure as failure:
            failure.usage = spent
            failure.detail = self._redact.text(failure.detail)
            self._judge(failure)
            raise
        self._reached, self._alike = True, ("", 0)
        return replace(outcome, attempts=attempts), spent

    def _read(self, reply: Reply, call: Call) -> Outcome:
        if reply.status != 200:
            raise failure_of(reply, call.body, self._clock.time())
        return call.read(decoded(reply.content, self._redact))

    def _judge(self, failure: Failure) -> None:
        """Give the run up where no request can succeed."""
        cause, times = failure.fatal or failure.malformed, self._alike[1]
        self._alike = (cause, times + 1 if cause == self._alike[0] else 1)
        if (failure.fatal and not self._reached) or (cause and self._alike[1] >= _ALIKE_IN_A_ROW):
            self._given_up = ModelUnavailable(self._farewell(failure))
            raise self._given_up from None

    def _farewell(self, failure: Failure) -> str:
        if failure.fatal:
            return f"{self.name}: {failure.detail}"
        shown = " ".join(failure.detail[: len(failure.malformed) + _SHOWN].split())
        return (
            f"{self.name}: {_ALIKE_IN_A_ROW} requests in a row failed alike, and no more is sent. {shown}. "
            f"Does --base-url lead to the API of {self.identity['provider']}?"
        )

    def _failed(self, failure: Failure) -> Answered:
        outcome = Outcome(status=failure.status, detail=failure.detail, attempts=failure.attempts)
        return Answered(outcome, failure.usage)

    def _adapts(self, parameter: str, body: dict[str, Any]) -> bool:
        """Do without a refused parameter, if possible. Another request may have found out first."""
        if self._parameters.fit(body) != body:
            return True
        if (change := self._parameters.refused(parameter)) is None:
            return False
        self._note(f"{self.name}: {change}")
        return True

    def _charge(self, call: Call) -> Usage:
        """The most that a call may take."""
        tokens = Tokens(input=call.prompt_tokens, output=call.max_tokens)
        return Usage(requests=1, tokens_in=tokens.input, tokens_out=tokens.output, usd=self._prices.usd(tokens))

    def _usage(self, outcome: Outcome) -> Usage:
        tokens = outcome.tokens
        if tokens is None:
            return Usage(requests=1, usd=None)
        return Usage(0.0, 1, tokens.input - tokens.cached, tokens.output, tokens.cached, self._prices.usd(tokens))

    def _tell_wait(self, failure: Failure, seconds: float) -> None:
        """Say that there is a wait, now and then: a thousand requests may be waiting."""
        now = self._clock.monotonic()
        if self._told_at is None or now - self._told_at >= _TELL_EVERY:
            self._told_at = now
            detail = self._redact.text(failure.detail)
            self.context.notify(f"{self.name}: {detail[:200]}; trying again in {seconds:.1f} s")


def _saved(outcome: Outcome) -> Usage:
    """The usage of an answer that was paid for before."""
    return Usage(tokens_cached=outcome.tokens.input if outcome.tokens else 0)


def _lone_surrogate(value: Any) -> str | None:
    """The first half of a surrogate pair that stands alone in a JSON value."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            return f"U+{ord(value[error.start]):04X}"
        return None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for item in inner if (found := _lone_surrogate(item))), None)
