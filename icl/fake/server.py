"""The server: sockets, a thread, and a record of what was asked."""

from __future__ import annotations

import asyncio
import errno
import math
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fewshot.core.errors import FewshotError, UsageError
from icl.fake.http import Request, read_request, write_reply
from icl.fake.script import Step, parse_script, read_script
from icl.fake.service import Service

_HOST = "127.0.0.1"
_BACKLOG = 512


class _Hold:
    """Lets so many requests pass, and keeps those after them."""

    def __init__(self, replies: int) -> None:
        self._replies_left = replies
        self.begun = threading.Event()

    def keeps_next(self) -> bool:
        if self._replies_left:
            self._replies_left -= 1
            return False
        self.begun.set()
        return True


class FakeServer:
    """A server on 127.0.0.1 in a thread of its own, for as long as the `with` block lasts.

    Args:
        script: steps as mappings or as `Step`, or the path of a script file. Default: none.
        port: 0 for any free one.
        latency_s: seconds before every reply.
        keep: how many requests are kept for inspection, the latest ones. None: all.

    Raises:
        UsageError: a bad script, or on entering: the port is in use.

    Attributes:
        requests: every request, in the order in which they came.
        most_in_flight: the largest number of requests that were being answered at one time.

    Example:
        >>> with FakeServer([{"status": 429, "headers": {"retry-after": "1"}}]) as server:  # doctest: +SKIP
        ...     client = openai.OpenAI(base_url=server.openai_url, api_key="any")
    """

    def __init__(
        self,
        script: Sequence[Mapping[str, Any] | Step] | Path | str = (),
        *,
        port: int = 0,
        latency_s: float = 0.0,
        keep: int | None = None,
    ) -> None:
        steps = read_script(Path(script)) if isinstance(script, Path | str) else parse_script(script)
        self.requests: deque[Request] = deque(maxlen=keep)
        self.most_in_flight = 0
        self._service = Service(steps)
        self._latency_s = latency_s
        self._port = port
        self._hits: Counter[str] = Counter()
        self._in_flight = 0
        self._hold: _Hold | None = None

    @property
    def url(self) -> str:
        """The base URL for Anthropic's SDK, which adds `/v1` itself."""
        return f"http://{_HOST}:{self._port}"

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI's SDK."""
        return f"{self.url}/v1"

    def hits(self, path: str | None = None) -> int:
        """How many requests came in, all or for one path."""
        return self._hits.total() if path is None else self._hits[path]

    def hold_after(self, replies: int) -> threading.Event:
        """Answer so many more requests, and none of those after them, ever, until `release` lets new ones pass.

        Returns:
            What is set when the first request is left without an answer.
        """
        hold = self._hold = _Hold(replies)
        return hold.begun

    def release(self) -> None:
        """Answer every request that comes from now on."""
        self._hold = None

    def __enter__(self) -> FakeServer:
        self._loop = asyncio.new_event_loop()
        self._listen()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._hang_up())
        self._loop.close()

    async def _hang_up(self) -> None:
        self._server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _listen(self) -> None:
        listening = asyncio.start_server(self._converse, _HOST, self._port, backlog=_BACKLOG)
        try:
            self._server = self._loop.run_until_complete(listening)
        except (OSError, OverflowError) as error:
            self._loop.close()
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                raise UsageError(f"port {self._port} is in use; choose another, or 0 for any free one") from error
            raise FewshotError(f"cannot listen on {_HOST}:{self._port}: {error}") from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        try:
            while (request := await read_request(reader)) and await self._respond(request, writer):
                pass
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the server ends: either way there is nobody to tell
        finally:
            writer.close()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        self.requests.append(request)
        self._hits[request.path] += 1
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            if (hold := self._hold) and hold.keeps_next():
                await asyncio.sleep(math.inf)
            response = self._service.respond(request)
            if wait := self._latency_s + response.delay_s:
                await asyncio.sleep(wait)
            return await write_reply(writer, response.reply)
        finally:
            self._in_flight -= 1
