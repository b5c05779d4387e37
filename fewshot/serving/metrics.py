"""Counts and times of a service, in Prometheus form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Upper bounds of the classes of seconds that are counted.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What a service counts.

    Args:
        waiting: how many texts wait now.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, waiting: Callable[[], int]) -> None:
        own = self._registry = CollectorRegistry()
        self.requests = Counter("fewshot_requests", "Requests by path and status.", ["path", "status"], registry=own)
        self.labels = Counter("fewshot_labels", "Texts by the label that they got.", ["label"], registry=own)
        self.seconds = Histogram("fewshot_seconds", "Seconds to answer a request.", buckets=_SECONDS, registry=own)
        Gauge("fewshot_waiting_texts", "Texts that wait for an answer.", registry=own).set_function(waiting)

    def page(self) -> bytes:
        """All of it as text."""
        return generate_latest(self._registry)


class Counted:
    """Counts replies by path and status. An ASGI middleware."""

    def __init__(self, app: Any, requests: Counter) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, and count its reply."""

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                # Paths that nobody serves would be a counter each.
                path = scope["path"] if "route" in scope else "other"
                self._requests.labels(path, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted if scope["type"] == "http" else send)
