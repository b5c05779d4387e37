"""What a request must be before anything reads it: of a known size, allowed, and not too often."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Paths that need no key: what watches over the service asks them.
_OPEN = ("/health", "/ready")
#: Clients whose rate is remembered.
_CLIENTS = 10_000


@dataclass
class Limits:
    """Refuses requests by their size, key and rate, before the service sees them. An ASGI middleware.

    Args:
        app: the service.
        most_bytes: of a body.
        key: what `Authorization: Bearer` must say; None asks for none.
        per_second: requests of one address; None is no limit. Twice as many may come at once.
    """

    app: ASGIApp
    most_bytes: int
    key: str | None = None
    per_second: float | None = None
    _allowances: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, init=False, repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self.key is not None and not _is_allowed(headers.get(b"authorization", b""), self.key):
            await _refuse(send, 401, "this service asks for a key: Authorization: Bearer KEY", b"Bearer")
        elif self.per_second is not None and not self._may(scope, self.per_second):
            await _refuse(send, 429, f"more than {self.per_second:g} requests per second; try again later")
        elif (length := headers.get(b"content-length", b"0")).isdigit() and int(length) > self.most_bytes:
            await _refuse(send, 413, self._too_large)
        else:
            await self._within_size(scope, receive, send)

    @property
    def _too_large(self) -> str:
        return f"a body may have {self.most_bytes:,} bytes; send fewer texts at once"

    async def _within_size(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body is read here, so that one that does not say its length is cut off, too."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most_bytes:
                await _refuse(send, 413, self._too_large)
                return
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, replay, send)

    def _may(self, scope: Scope, per_second: float) -> bool:
        """A token bucket per address."""
        client = (scope.get("client") or ("",))[0]
        now, burst = time.monotonic(), max(1.0, 2 * per_second)
        left, before = self._allowances.pop(client, (burst, now))
        left = min(burst, left + (now - before) * per_second)
        self._allowances[client] = (left - (left >= 1), now)
        if len(self._allowances) > _CLIENTS:
            self._allowances.popitem(last=False)
        return left >= 1


def _is_allowed(given: bytes, key: str) -> bool:
    scheme, _, value = given.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(value.strip(), key.encode())


async def _refuse(send: Send, status: int, why: str, authenticate: bytes | None = None) -> None:
    import json

    body = json.dumps({"error": why}).encode()
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if authenticate is not None:
        headers.append((b"www-authenticate", authenticate))
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
