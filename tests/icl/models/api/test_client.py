"""Where keys and texts go, whatever the environment says, and how much of a reply is read."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from evals.learner import Context
from evals.types import Status
from fewshot.core.errors import BudgetReached, OfflineError, UsageError
from fewshot.core.network import keep_local_traffic_local, proxy_of
from icl.fake import FakeServer
from icl.models.api.model import AnthropicModel, OpenAIModel
from icl.models.api.transport import Transport, checked_url

from .conftest import ASK, KEY, FakeClock, chat, message, response
from .test_engine import asking

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "localhost", "::1", "0.0.0.0", "::ffff:7f00:1"])

PROVIDERS = {"openai": OpenAIModel, "anthropic": AnthropicModel}
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
LOOPBACK = ("127.0.0.1", "localhost", "LOCALHOST", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]")
SENTINEL = "leaked-sentinel-987654321"


@contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads the first bytes of every connection and closes it. Yields its URL, and what it read."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a proxy hears that every variable names."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with listener() as (url, heard):
        for name in PROXIES:
            monkeypatch.setenv(name, url)
        yield heard


@pytest.mark.promise(62)
@pytest.mark.parametrize("offline", [False, True], ids=["", "offline"])
@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_this_machine_is_asked_without_a_proxy(monkeypatch, proxy, provider: str, host: str, offline: bool) -> None:
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", KEY)
    with FakeServer() as server:
        url = f"http://{host}:{server.url.rpartition(':')[2]}/v1"
        asked = PROVIDERS[provider]("m", base_url=url, offline=offline, cache=False)
        (found,) = asked.generate([ASK])
        assert (found.status, len(server.requests)) == (Status.OK, 1)
    assert not proxy
    assert not asked.notes[:-1], "nothing to tell but who answered"


@pytest.mark.promise(62)
def test_another_machine_is_asked_through_the_proxy_and_that_is_told(proxy) -> None:
    asked = OpenAIModel("m", base_url="http://models.example:8000/v1", clock=FakeClock(), cache=False)
    asked.generate([ASK])
    assert proxy[0].startswith(b"POST http://models.example:8000/v1/chat/completions")
    assert "through the proxy 127.0.0.1:" in asked.notes[0]
    assert "which HTTP_PROXY names" in asked.notes[0]
    assert "without encryption" in asked.notes[1]


@pytest.mark.promise(62)
@pytest.mark.parametrize(
    ("environment", "url", "found"),
    [
        ({"HTTPS_PROXY": "http://me:secret@gate:3128"}, "https://api.openai.com/v1", ("HTTPS_PROXY", "gate:3128")),
        ({"all_proxy": "socks5://gate:1080"}, "https://api.openai.com/v1", ("ALL_PROXY", "gate:1080")),
        ({"https_proxy": "gate:3128", "NO_PROXY": "example.org"}, "https://api.example.org", None),
        ({"https_proxy": "gate:3128", "no_proxy": "*"}, "https://api.openai.com", None),
        ({"HTTP_PROXY": "http://gate:3128"}, "https://api.openai.com", None),
        ({"HTTP_PROXY": "http://gate:3128"}, "http://127.9.9.9:1", None),
        ({}, "https://api.openai.com", None),
    ],
    ids=str,
)
def test_which_proxy_is_asked(monkeypatch, environment: dict[str, str], url: str, found: Any) -> None:
    for name in (*PROXIES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == found


@pytest.mark.promise(62)
@pytest.mark.parametrize(
    ("offline", "before", "after"),
    [
        (False, {"HTTP_PROXY": "p"}, {"HTTP_PROXY": "p", "NO_PROXY": "localhost,127.0.0.1,::1"}),
        (
            False,
            {"https_proxy": "p", "no_proxy": "a.org"},
            {"https_proxy": "p", "NO_PROXY": "a.org,localhost,127.0.0.1,::1"},
        ),
        (False, {"ALL_PROXY": "p", "NO_PROXY": "*"}, {"ALL_PROXY": "p", "NO_PROXY": "*"}),
        (False, {}, {}),
        (True, dict.fromkeys(PROXIES, "p"), {}),
    ],
    ids=str,
)
def test_no_library_asks_a_proxy_about_this_machine(monkeypatch, offline: bool, before: Any, after: Any) -> None:
    environment: dict[str, str] = dict(before)
    monkeypatch.setattr("os.environ", environment)
    keep_local_traffic_local(offline=offline)
    assert {name: value for name, value in environment.items() if name != "no_proxy"} == after


@pytest.mark.promise(63)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_header_comes_from_the_environment(monkeypatch, tmp_path, provider: str) -> None:
    """Organisation, project, other credentials and headers of one's own may be meant for another server."""
    (tmp_path / "key").write_text(KEY)
    names = ("ORG_ID", "PROJECT_ID", "ADMIN_KEY", "AUTH_TOKEN", "API_KEY", "WEBHOOK_SECRET", "PROFILE")
    for name in names:
        monkeypatch.setenv(f"{provider.upper()}_{name}", SENTINEL)
    headers = ("Authorization", "X-Api-Key", "Host", "Cookie", "X-Gateway")
    monkeypatch.setenv(f"{provider.upper()}_CUSTOM_HEADERS", "\n".join(f"{name}: {SENTINEL}" for name in headers))
    with listener() as (url, heard):
        asked = PROVIDERS[provider]("m", base_url=url, key_file=tmp_path / "key", clock=FakeClock(), cache=False)
        asked.generate([ASK])
        sent = heard[0].decode().lower()
    assert f"authorization: bearer {KEY}\r\n" in sent
    assert f"host: {url.removeprefix('http://')}\r\n" in sent
    assert SENTINEL not in sent
    assert any("CUSTOM_HEADERS is not used" in note for note in asked.notes)


@pytest.mark.promise(63)
@pytest.mark.parametrize("official", [True, False])
def test_the_account_is_named_to_the_provider_alone(monkeypatch, official: bool) -> None:
    import asyncio

    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    with FakeServer() as server:
        transport = Transport("openai", server.openai_url, KEY, 1, official=official)

        async def ask() -> None:
            await transport.post("/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}]})
            await transport.close()

        asyncio.run(ask())
        assert ("org-mine" in str(server.requests[0].headers)) is official


@pytest.mark.promise(63)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_that_the_environment_names_is_told(monkeypatch, provider: str) -> None:
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", "https://gate.example/v1")
    told: list[str] = []
    asked = PROVIDERS[provider]("m", notify=told.append)
    assert told == [f"{provider}:m is asked at gate.example, which {provider.upper()}_BASE_URL names"]
    assert not asked.official


@pytest.mark.promise(63)
@pytest.mark.parametrize(
    "url",
    [
        *("127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://[::1", "http://host:99999", "http://host:port"),
        *("http://127.0.0.1\\@evil.example", "http://127.0.0.1/v1?to=evil", "http://127.0.0.1#@evil.example"),
        *("http://127.0.0.1 .evil.example", "http://１２７.0.0.1", "http://user:pass@127.0.0.1", "http://a\tb"),
    ],
)
def test_a_url_that_is_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--base-url"):
        checked_url(url, offline=False)


@pytest.mark.promise(40)
@pytest.mark.parametrize(
    "host", ["127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "128.0.0.1", "[::2]", "10.0.0.1"]
)
def test_what_only_looks_like_this_machine_is_another_one(host: str) -> None:
    with pytest.raises(OfflineError, match="forbids"):
        checked_url(f"http://{host}/v1", offline=True)


def chunked(content: bytes, **headers: str) -> Any:
    """A reply without a length, in pieces."""
    return lambda _: (200, iter([content[at : at + 65536] for at in range(0, len(content), 65536)]), headers)


BIG = {"openai": json.dumps(chat("x" * 5 * 2**20)).encode(), "anthropic": json.dumps(message("x" * 5 * 2**20)).encode()}


@pytest.mark.promise(64)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "reply",
    [
        lambda body: body,
        lambda body: chunked(body),
        lambda body: (200, gzip.compress(body), {"content-encoding": "gzip"}),
        lambda body: (200, zlib.compress(body), {"content-encoding": "deflate"}),
        lambda body: (200, gzip.compress(gzip.compress(b" " * 300 * 2**20, 1)), {"content-encoding": "gzip, gzip"}),
        lambda body: chunked(gzip.compress(body), **{"content-encoding": "gzip"}),
        lambda body: (400, body),
        lambda body: (500, body),
    ],
    ids=["plain", "chunked", "gzip", "deflate", "twice", "chunked-gzip", "error", "server-error"],
)
def test_a_reply_without_end_is_a_bad_response(scripted, model, provider: str, reply: Any) -> None:
    scripted(reply(BIG[provider]))
    (found,) = model(provider).generate([ASK])
    assert (found.status, found.requests) == (Status.BAD_RESPONSE, 1)
    assert found.text == "the reply is larger than 4 MiB, and is not read further (max_reply_mib of the model)"


@pytest.mark.promise(64)
def test_a_reply_is_not_read_beyond_the_limit(model) -> None:
    """Endless chunks: only a reader that counts while it reads comes back."""
    sent = 0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            nonlocal sent
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                try:
                    while True:
                        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                        sent += 0x10000
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        (found,) = model(base_url=f"http://127.0.0.1:{server.getsockname()[1]}/v1", max_reply_mib=1).generate([ASK])
        thread.join()
    assert found.status is Status.BAD_RESPONSE
    assert sent < 64 * 2**20, "what the buffers of the system hold, and no more"


@pytest.mark.promise(64)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", ""])
def test_a_compressed_reply_is_read(scripted, model, encoding: str) -> None:
    body = json.dumps(chat()).encode()
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "": bytes}[encoding](body)
    scripted((200, packed, {"content-encoding": encoding} if encoding else {}))
    (found,) = model().generate([ASK])
    assert (found.text, found.status) == ("positive", Status.OK)


@pytest.mark.promise(64)
@pytest.mark.parametrize("most", [0, -1, float("nan")])
def test_a_limit_that_lets_nothing_through_is_refused(model, most: float) -> None:
    with pytest.raises(UsageError, match="max_reply_mib"):
        model(max_reply_mib=most)


TWICE = {
    "two-choices": ({}, chat() | {"choices": chat()["choices"] * 2}),
    "others": ({}, chat() | {"choices": [*chat()["choices"], *chat("negative")["choices"]]}),
    "many": ({}, chat() | {"choices": chat()["choices"] * 100}),
    "two-messages": ({"api": "responses"}, response() | {"output": response()["output"] * 2}),
}


@pytest.mark.promise(5)
@pytest.mark.parametrize(("options", "body"), TWICE.values(), ids=TWICE)
def test_more_answers_than_were_asked_for_are_none(scripted, model, options: Any, body: Any) -> None:
    scripted(body)
    (found,) = model(**options).generate([ASK])
    assert (found.status, found.requests) == (Status.BAD_RESPONSE, 2)


@pytest.mark.promise(41)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_where_a_server_counts_no_tokens_the_most_that_it_may_have_cost_is_charged(scripted, model, provider) -> None:
    body = {"openai": chat(), "anthropic": message()}[provider] | {"usage": None}
    scripted(body)
    prices = {"input_price": 0.0, "output_price": 1e6 / 8}
    asked = model(provider, concurrency=1, max_cost=3.0, **prices)  # an answer of 8 tokens, the most, costs 1 USD
    asked.attend(Context())
    with pytest.raises(BudgetReached, match="max-cost"):
        asked.generate(asking(*"abcdef"))
    assert len(scripted.seen) == 3
