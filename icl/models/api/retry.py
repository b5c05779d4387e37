"""Retries with a hard deadline, whatever a server asks for."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from evals.types import Status, Usage
from fewshot.core.errors import UsageError

_T = TypeVar("_T")


class Clock(Protocol):
    """Time as retries see it, so that tests need not wait."""

    def monotonic(self) -> float: ...

    def time(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The real time."""

    def monotonic(self) -> float:
        """Seconds since some moment, unmoved by changes of the clock."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Failure(Exception):
    """An attempt that brought no answer.

    Attributes:
        status: what becomes of the query if this is the end.
        detail: for people; keys are taken out before it leaves the engine.
        retry: whether the same request may be answered later.
        wait: seconds that the server asks to wait, or None.
        fatal: what is wrong with the whole run rather than with this request ("401 invalid_api_key"), or "".
        parameter: the parameter of the request that the model does not take, or "".
        free: whether nothing was charged for it; where that is not sure, the request counts as paid for.
        malformed: what is wrong with the form of an answer that came, or "".
        passes: whether that may be gone at the next attempt.
        attempts, usage: how often the request was sent, and what that took.
    """

    def __init__(
        self,
        status: Status,
        detail: str,
        *,
        retry: bool = False,
        wait: float | None = None,
        fatal: str = "",
        parameter: str = "",
        free: bool = True,
        malformed: str = "",
        passes: bool = False,
    ) -> None:
        super().__init__()
        self.status = status
        self.detail = detail
        self.retry = retry
        self.wait = wait
        self.fatal = fatal
        self.parameter = parameter
        self.free = free
        self.malformed = malformed
        self.passes = passes
        self.attempts = 0
        self.usage = Usage()

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True)
class Policy:
    """How long to persist with one request.

    Args:
        timeout: seconds for one attempt.
        deadline: seconds for all attempts and the waits between them.
        max_retries: attempts after the first.
        once_paid: whether a request that may have been paid for is not sent again.
        first_wait, longest_wait: seconds; waits double from one to the other, unless the server asks for more.
    """

    timeout: float = 60.0
    deadline: float = 300.0
    max_retries: int = 6
    once_paid: bool = False
    first_wait: float = 0.5
    longest_wait: float = 30.0

    def __post_init__(self) -> None:
        for name in ("timeout", "deadline"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"--{name} {value}: give a number of seconds above 0")

    def wait(self, attempt: int, jitter: random.Random) -> float:
        """Seconds to wait after the attempt of this number (from 1), 50 to 100 percent of the step."""
        step = min(self.first_wait * 2 ** min(attempt - 1, 32), self.longest_wait)
        return step * jitter.uniform(0.5, 1.0)


async def persist(
    attempt: Callable[[], Awaitable[_T]],
    policy: Policy,
    clock: Clock,
    jitter: random.Random,
    *,
    pace: Callable[[], float] = lambda: 0.0,
    on_wait: Callable[[Failure, float], None] = lambda failure, seconds: None,
) -> tuple[_T, int]:
    """Attempt until there is an answer, a failure is final, or the deadline leaves no room for the next wait.

    Args:
        attempt: one attempt; raises Failure.
        policy: how long to persist.
        clock: tells and passes the time.
        jitter: spreads the waits of many.
        pace: seconds until it is one's turn. The first turn is waited for before the deadline begins to count.
        on_wait: told about every wait after a failure.

    Returns:
        The answer and the number of attempts it took.

    Raises:
        Failure: the last one, with the number of attempts.
    """
    await clock.sleep(pace())
    end = clock.monotonic() + policy.deadline
    number = 0
    while True:
        number += 1
        try:
            async with asyncio.timeout(min(policy.timeout, max(0.0, end - clock.monotonic()))):
                return await attempt(), number
        except TimeoutError:
            failure = Failure(Status.TIMEOUT, f"no answer within {policy.timeout:g} s", retry=True, free=False)
        except Failure as error:
            failure = error
        failure.attempts = number
        if not failure.retry or number > policy.max_retries or (policy.once_paid and not failure.free):
            raise failure
        wait = max(policy.wait(number, jitter), failure.wait or 0.0, pace())
        if clock.monotonic() + wait >= end:
            if failure.wait is not None and failure.wait >= wait:
                failure.status = Status.RATE_LIMITED
                failure.detail += f" (it asks to wait {failure.wait:.0f} s, which passes the deadline)"
            raise failure
        on_wait(failure, wait)
        await clock.sleep(wait)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.

    Args:
        headers: by lower-case name.
        now: seconds since 1970.

    Returns:
        0 or more, or None where nothing is asked for or it cannot be understood.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(text: str | None) -> float | None:
    """A finite number, not below 0; None for anything else."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None
