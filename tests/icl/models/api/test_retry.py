"""Retries: what servers ask for, and the deadline that no server can move."""

from __future__ import annotations

import asyncio
import random
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evals.types import Status
from fewshot.core.errors import UsageError
from icl.models.api.engine import Limits
from icl.models.api.limits import Rate
from icl.models.api.retry import Failure, Policy, persist, retry_after

from .conftest import FakeClock

NOW = 1_800_000_000.0


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": "Fri, 31 Dec 2099 23:59:59 GMT"}, 2_302_443_199.0 + 1_800_000_000.0 - NOW),
        ({"retry-after": "Fri, 31 Dec 9999999 23:59:59 GMT"}, None),
    ],
    ids=str,
)
def test_what_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    found = retry_after(headers, NOW)
    if seconds is not None and seconds > 1e9:
        assert found is not None and found > 1e9
    else:
        assert found == seconds


def run(attempt: Any, policy: Policy, clock: FakeClock) -> Any:
    return asyncio.run(persist(attempt, policy, clock, random.Random(0)))


@pytest.mark.promise(2)
@given(st.text(max_size=20) | st.floats().map(str) | st.integers().map(str), st.floats(0.1, 500), st.booleans())
@example("4294967", 300.0, False)
@example("1e308", 300.0, False)
@example("Fri, 31 Dec 2099 23:59:59 GMT", 300.0, False)
def test_no_header_breaks_the_deadline(value: str, deadline: float, ms: bool) -> None:
    clock = FakeClock()
    headers = {"retry-after-ms" if ms else "retry-after": value}

    async def refuse() -> None:
        raise Failure(Status.RATE_LIMITED, "429", retry=True, wait=retry_after(headers, clock.time()))

    with pytest.raises(Failure) as caught:
        run(refuse, Policy(deadline=deadline), clock)
    assert caught.value.status is Status.RATE_LIMITED
    assert sum(clock.slept) <= deadline
    assert caught.value.attempts <= 7


@pytest.mark.promise(2)
def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    clock = FakeClock()

    async def refuse() -> None:
        raise Failure(Status.ERROR, "HTTP 503", retry=True, wait=301.0)

    with pytest.raises(Failure, match="HTTP 503") as caught:
        run(refuse, Policy(deadline=300.0), clock)
    assert (caught.value.status, clock.slept) == (Status.RATE_LIMITED, [])
    assert "passes the deadline" in caught.value.detail


@pytest.mark.promise(1)
def test_waits_grow_with_jitter_up_to_a_limit() -> None:
    policy, jitter = Policy(), random.Random(1)
    for attempt in range(1, 40):
        step = min(0.5 * 2 ** (attempt - 1), 30.0)
        assert step / 2 <= policy.wait(attempt, jitter) <= step


@pytest.mark.promise(4)
def test_an_attempt_that_never_ends_is_ended() -> None:
    clock = FakeClock()

    async def sleep_forever() -> None:
        clock.now += 0.01
        await asyncio.Event().wait()

    with pytest.raises(Failure) as caught:
        run(sleep_forever, Policy(timeout=0.01, max_retries=2), clock)
    assert (caught.value.status, caught.value.attempts) == (Status.TIMEOUT, 3)
    assert not caught.value.free


def test_what_cannot_succeed_is_not_tried_again() -> None:
    async def refuse() -> None:
        raise Failure(Status.AUTH, "401", fatal="401")

    with pytest.raises(Failure) as caught:
        run(refuse, Policy(), FakeClock())
    assert caught.value.attempts == 1


@pytest.mark.parametrize("options", [{"timeout": 0.0}, {"deadline": -1.0}, {"timeout": float("inf")}], ids=str)
def test_limits_that_are_none(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="seconds above 0"):
        Policy(**options)


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=60), st.floats(1, 6000))
def test_a_rate_is_kept(units: list[float], per_minute: float) -> None:
    clock = FakeClock()
    rate = Rate(per_minute, clock)
    begun = [clock.now + rate.reserve(n) for n in units]
    assert begun == sorted(begun)
    # What is begun within any stretch was allowed for it and for the second before; the last one may overhang.
    for first in range(len(units)):
        for last in range(first, len(units)):
            allowed = (begun[last] - begun[first] + 1.0) * per_minute / 60
            assert sum(units[first:last]) <= allowed + 1e-6


def test_no_rate_is_no_wait_and_zero_is_refused() -> None:
    assert Rate(None, FakeClock()).reserve(1e9) == 0.0
    with pytest.raises(UsageError, match="--rpm 0 lets nothing through"):
        Limits(rpm=0)
