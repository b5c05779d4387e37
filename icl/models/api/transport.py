"""HTTP by the official SDKs, whose retries, redirects and reading of answers are not used."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

from evals.types import Status
from fewshot.core.errors import MissingExtra, OfflineError, UsageError
from fewshot.core.network import is_local
from icl.models.api.retry import Failure

Provider = Literal["openai", "anthropic"]
_CLIENTS = {"openai": "AsyncOpenAI", "anthropic": "AsyncAnthropic"}
#: Without white space, backslash, query, fragment and all that is not ASCII: programs read such URLs differently.
_PLAIN = re.compile(r'[!"$->@-\[\]-~]+')
#: MiB of a reply that are read by default; an answer has a few KiB.
MOST_MIB = 4.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response. Header names are in lower case."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def require_sdk(provider: Provider) -> None:
    """Refuse at once what will need a package that is not installed. Imports nothing."""
    if importlib.util.find_spec(provider) is None:
        raise MissingExtra(f"a model of {provider}", provider)


def checked_url(url: str, *, offline: bool, source: str = "--base-url") -> str:
    """A base URL without a slash at its end.

    Args:
        url: as it was given.
        offline: whether other machines are forbidden.
        source: where it was given, for messages.

    Raises:
        UsageError: it is no HTTP URL, or holds a password.
        OfflineError: it leads to another machine, and that is forbidden.
    """
    no_url = UsageError(f"{source} {url!r} is no URL; write http://HOST:PORT/v1 or https://HOST/v1")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise no_url from None
    if parts.username or parts.password:
        raise UsageError(f"{source} holds a user or password; give the key with --key-file or --key-cmd")
    if parts.scheme not in ("http", "https") or not parts.hostname or not _PLAIN.fullmatch(url):
        raise no_url
    if offline and not is_local(url):
        raise OfflineError(f"--offline forbids to ask {parts.hostname}; use a local model or a server on this machine")
    return url.rstrip("/")


class Transport:
    """Sends requests to one server.

    Args:
        provider: whose SDK speaks.
        base_url: checked.
        key: None for servers that ask for none.
        concurrency: most connections at a time.
        official: whether it is the provider's own server.
        most_mib: MiB of a reply that are read.
    """

    def __init__(
        self,
        provider: Provider,
        base_url: str,
        key: str | None,
        concurrency: int,
        *,
        official: bool = False,
        most_mib: float = MOST_MIB,
    ) -> None:
        self.provider: Provider = provider
        self.base_url = base_url
        self.key = key or "none"
        self.concurrency = concurrency
        self.official = official
        self.most_mib = most_mib

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """POST a JSON body. Raises Failure where no response comes."""
        return await self._call("post", path, body=body)

    async def get(self, path: str) -> Reply:
        """GET a path of the server, or a URL on it."""
        return await self._call("get", path)

    async def upload(self, path: str, fields: Mapping[str, str], name: str, content: bytes) -> Reply:
        """POST a file as form data."""
        options = {"headers": {"Content-Type": "multipart/form-data"}}
        return await self._call("post", path, body=fields, files={"file": (name, content)}, options=options)

    async def close(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            await self._client.close()

    async def _call(self, method: str, path: str, **arguments: Any) -> Reply:
        import httpx2

        sdk = importlib.import_module(self.provider)
        try:
            response = await getattr(self._client, method)(path, cast_to=httpx2.Response, **arguments)
        except sdk.APIStatusError as error:
            response = error.response
        except sdk.APITimeoutError:
            response = Failure(Status.TIMEOUT, "no answer in time", retry=True, free=False)
        except sdk.APIConnectionError as error:
            response = _unconnected(error.__cause__, self.base_url)
        except Failure as failure:
            response = failure
        # Not raised above: their exceptions hold the request with its key, and would go along with ours.
        if isinstance(response, Failure):
            raise response
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, response.content, headers)

    @cached_property
    def _client(self) -> Any:
        from icl.models.api.client import GuardedClient

        http = GuardedClient(
            self.base_url,
            self.key,
            official=self.official,
            concurrency=self.concurrency,
            most_mib=self.most_mib,
        )
        make = getattr(importlib.import_module(self.provider), _CLIENTS[self.provider])
        return make(api_key=self.key, base_url=self.base_url, max_retries=0, timeout=None, http_client=http)


def _unconnected(cause: BaseException | None, url: str) -> Failure:
    import httpx2

    if isinstance(cause, Failure):
        return cause
    if isinstance(cause, httpx2.ConnectError):
        host = urlsplit(url).netloc
        detail = f"{host} cannot be reached; is the server running, and is --base-url right?"
        return Failure(Status.ERROR, detail, retry=True, fatal=f"{host} unreachable")
    detail = f"the connection broke ({type(cause).__name__})"
    return Failure(Status.ERROR, detail, retry=True, free=False)
