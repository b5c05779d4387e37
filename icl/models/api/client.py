"""The HTTP client below the SDKs: sends no header that the environment slipped in, and reads no reply without end."""

from __future__ import annotations

from typing import Any

import httpx2

from evals.types import Status
from fewshot.core.network import is_local
from icl.models.api.retry import Failure

_MIB = 2**20
#: The only method that brings files of a batch, with the answers to thousands of requests.
_OF_BATCHES, _MOST_OF_BATCHES = "GET", 256
#: What of a request is the SDK's to say. Whatever else it adds (`*_CUSTOM_HEADERS`, `ANTHROPIC_AUTH_TOKEN`,
#: `OPENAI_ADMIN_KEY`) comes from the environment, and may be meant for another server.
_HEADERS = frozenset(
    {
        *("accept", "anthropic-version", "connection", "content-length", "content-type", "idempotency-key"),
        *("transfer-encoding", "user-agent"),
    }
)
#: Whose account pays: for the provider itself, and nobody else.
_ACCOUNT = frozenset({"openai-organization", "openai-project"})
#: They tell how a body came, and the body is read.
_OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")


class GuardedClient(httpx2.AsyncClient):
    """Asks one server.

    Args:
        url: of the server. On this machine it is asked directly, whatever proxy the environment names.
        key: sent with every request.
        official: whether the provider itself is asked.
        concurrency: most connections at a time.
        most_mib: MiB of a reply that are read; those with the files of a batch may have 256.
    """

    def __init__(self, url: str, key: str, *, official: bool, concurrency: int, most_mib: float) -> None:
        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        direct = httpx2.AsyncHTTPTransport(limits=limits) if is_local(url) else None
        # How long an attempt may take is the retry policy's to say.
        super().__init__(follow_redirects=False, timeout=None, limits=limits, transport=direct)
        self._secret = ("authorization", f"Bearer {key}")
        self._allowed = _HEADERS | _ACCOUNT if official else _HEADERS
        self._most_mib = most_mib

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The response to a request, read to its end.

        Raises:
            Failure: it is too large; the rest is not read.
        """
        kept = [(name, value) for name, value in request.headers.multi_items() if name.lower() in self._allowed]
        request.headers = httpx2.Headers([("host", request.url.netloc.decode("ascii")), *kept, self._secret])
        response = await super().send(request, **{**options, "stream": True, "follow_redirects": False})
        try:
            content = await self._read(response)
        finally:
            await response.aclose()
        headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _OF_THE_WAY]
        return httpx2.Response(response.status_code, headers=headers, content=content, request=request)

    async def _read(self, response: httpx2.Response) -> bytes:
        """The body, unpacked in pieces of 1 MiB at most: a few bytes can unpack to any number."""
        most = _MOST_OF_BATCHES if response.request.method == _OF_BATCHES else self._most_mib
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > most * _MIB:
                detail = f"the reply is larger than {most:g} MiB, and is not read further (max_reply_mib of the model)"
                raise Failure(Status.BAD_RESPONSE, detail, free=False)
        return bytes(content)
