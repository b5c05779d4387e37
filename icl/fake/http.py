"""Just enough HTTP/1.1 over asyncio streams: read a request, write a reply, keep the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in.

    Attributes:
        path: without the query string.
        headers: names in lower case; `authorization` is kept.
        body: the JSON, or None where the content is no JSON.
        content: the bytes of the body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back.

    Attributes:
        headers: names in lower case.
        stream: server-sent events: their end is the end of the connection, so that a cut stream looks like a short one.
        keep: bytes of the body that are sent before the connection is closed. None: all.
    """

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    keep: int | None = None

    @property
    def body(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


def json_reply(status: int, body: Any) -> Reply:
    """A JSON document."""
    return Reply(status, json.dumps(body, ensure_ascii=False).encode(), {"content-type": "application/json"})


def event_stream(events: Iterable[Any], *, named: bool) -> Reply:
    """Server-sent events.

    Args:
        events: JSON objects, or strings that are sent as they are.
        named: whether each event is announced by its `type`.
    """
    lines = []
    for event in events:
        if named and isinstance(event, Mapping) and "type" in event:
            lines.append(f"event: {event['type']}\n")
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        lines.append(f"data: {data}\n\n")
    return Reply(200, "".join(lines).encode(), {"content-type": "text/event-stream"}, stream=True)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None where it has ended or does not speak HTTP."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return None
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    return Request(method, target.partition("?")[0], headers, body, content)


async def write_reply(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """Send a reply.

    Returns:
        Whether the connection can be used again.
    """
    reusable = not reply.stream and reply.keep is None
    headers = {**reply.headers, "connection": "keep-alive" if reusable else "close"}
    if not reply.stream:
        headers["content-length"] = str(len(reply.content))
    lines = [
        f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Unknown')}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode("latin-1", "replace") + reply.content[: reply.keep])
    await writer.drain()
    return reusable
