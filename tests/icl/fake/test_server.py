"""The server itself: many clients at once, requests kept for inspection, equal answers to equal questions."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from typing import Any

import pytest

from fewshot.core.errors import UsageError
from icl.fake import FakeServer
from tests.icl.fake.test_openai import MESSAGES
from tests.icl.fake.test_script import CHAT, post

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_200_concurrent_calls(serve: Callable[..., FakeServer]) -> None:
    openai = pytest.importorskip("openai")
    server = serve([{"match": {"prompt": "never answered"}, "delay_s": 1e6}])

    async def ask_all() -> list[Any]:
        """While a request that came before them waits for ever."""
        client = openai.AsyncOpenAI(base_url=server.openai_url, api_key="any", max_retries=0, timeout=None)
        async with client:
            ask = client.chat.completions.create
            endless = asyncio.create_task(ask(model="any", messages=[{"role": "user", "content": "never answered"}]))
            while not server.hits(CHAT):
                await asyncio.sleep(0.01)
            replies = await asyncio.gather(*(ask(model="any", messages=MESSAGES) for _ in range(200)))
            assert not endless.done()
            endless.cancel()
            return replies

    replies = asyncio.run(ask_all())
    assert [reply.choices[0].message.content for reply in replies] == ["positive"] * 200
    assert len({reply.id for reply in replies}) == 200
    assert server.hits(CHAT) == 201
    assert server.most_in_flight > 1


def test_requests_are_held_when_asked() -> None:
    with ThreadPoolExecutor(1) as pool:
        with FakeServer() as server:
            held = server.hold_after(2)
            assert [post(server)[0].status for _ in range(2)] == [200, 200]
            assert not held.is_set()
            unanswered = pool.submit(post, server)
            held.wait()
            gc.collect()  # what waits must not be lost
            server.release()
            assert post(server)[0].status == 200
            assert not unanswered.done()
        with pytest.raises(RemoteDisconnected):
            unanswered.result()


def test_two_servers_say_the_same_to_the_byte() -> None:
    said = []
    for _ in range(2):
        with FakeServer() as server:
            said.append([post(server, text)[1] for text in ("a -> A\nb ->", "x", "a -> A\nb ->")])
    assert said[0] == said[1]


def test_requests_are_kept_whole(serve: Callable[..., FakeServer]) -> None:
    server = serve()
    post(server, "안녕", **{"X-Mine": "yes"})
    (request,) = server.requests
    assert (request.method, request.path, request.headers["x-mine"]) == ("POST", CHAT, "yes")
    assert request.body["messages"] == [{"role": "user", "content": "안녕"}]


def test_only_the_latest_requests_are_kept_where_asked(serve: Callable[..., FakeServer]) -> None:
    server = serve(keep=2)
    for text in "abc":
        post(server, text)
    assert [request.body["messages"][0]["content"] for request in server.requests] == ["b", "c"]
    assert server.hits() == 3


def test_a_port_in_use_is_named(serve: Callable[..., FakeServer]) -> None:
    port = int(serve().url.rpartition(":")[2])
    with pytest.raises(UsageError, match=f"port {port} is in use"), FakeServer(port=port):
        pass


def test_nothing_listens_after_the_block() -> None:
    with FakeServer() as server:
        address = server.url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address[0], int(address[1])), timeout=200)


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", b"nonsense\r\n\r\n", b"\x16\x03\x01" * 99, b"GET / HTTP/1.1\r\n"])
def test_what_is_not_http_ends_the_connection_only(serve: Callable[..., FakeServer], sent: bytes) -> None:
    server = serve()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=200) as stranger:
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(1) == b""
    assert post(server)[0].status == 200
