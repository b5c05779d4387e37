"""Scripts: every way to choose requests, every kind of reply, and polite refusals of bad files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fewshot.core.errors import UsageError
from icl.fake import FakeServer, read_script

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


def post(server: FakeServer, text: str = "q", path: str = CHAT, **headers: str) -> tuple[HTTPResponse, bytes]:
    """One request by hand: what comes back is what was sent, not what an SDK makes of it."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=200)
    body = {"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **headers})
    reply = connection.getresponse()
    try:
        return reply, reply.read()
    finally:
        connection.close()


def statuses(server: FakeServer, *requests: dict[str, str]) -> list[int]:
    return [post(server, **request)[0].status for request in requests]


class TestMatching:
    def test_steps_without_match_answer_in_turn_then_the_brain(self, serve: Callable) -> None:
        server = serve([{"status": 429}, {"status": 529, "repeat": 2}, {"status": 500}])
        assert statuses(server, *[{}] * 5) == [429, 529, 529, 500, 200]
        assert server.hits(CHAT) == server.hits() == len(server.requests) == 5

    @pytest.mark.parametrize(
        ("match", "expected"),
        [
            ({"call": 2}, [200, 500, 200, 200]),
            ({"every": 2}, [200, 500, 200, 500]),
            ({}, [500, 500, 500, 500]),
            ({"path": MESSAGES}, [200, 200, 200, 500]),
            ({"path": "/v1/chat/*"}, [500, 500, 500, 200]),
            ({"prompt": "^user: b"}, [200, 500, 500, 200]),
            ({"prompt": "b", "call": 2}, [200, 200, 500, 200]),
        ],
        ids=str,
    )
    def test_match(self, serve: Callable, match: dict[str, Any], expected: list[int]) -> None:
        server = serve([{"match": match, "status": 500}])
        asked = [{"text": "a"}, {"text": "b1"}, {"text": "b2"}, {"text": "c", "path": MESSAGES}]
        assert statuses(server, *asked) == expected

    def test_repeat_ends_a_match(self, serve: Callable) -> None:
        server = serve([{"match": {"every": 1}, "status": 500, "repeat": 2}])
        assert statuses(server, *[{}] * 4) == [500, 500, 200, 200]

    def test_the_first_step_that_fits_answers(self, serve: Callable) -> None:
        server = serve([{"match": {"call": 2}, "status": 503}, {"match": {}, "status": 500}])
        assert statuses(server, *[{}] * 3) == [500, 503, 500]


class TestReplies:
    def test_body(self, serve: Callable) -> None:
        assert json.loads(post(serve([{"body": {"choices": []}}]))[1]) == {"choices": []}

    def test_null_body(self, serve: Callable) -> None:
        assert post(serve([{"body": None}]))[1] == b"null"

    @pytest.mark.parametrize("raw", ["<html>", "", b"\xff\xfe"], ids=["html", "empty", "no UTF-8"])
    def test_raw(self, serve: Callable, raw: str | bytes) -> None:
        reply, content = post(serve([{"raw": raw, "headers": {"Content-Type": "text/html"}}]))
        assert content == (raw if isinstance(raw, bytes) else raw.encode())
        assert reply.headers["content-type"] == "text/html"

    def test_stream(self, serve: Callable) -> None:
        reply, content = post(serve([{"stream": [{"type": "ping"}, {"choices": []}, "not json", "[DONE]"]}]))
        assert reply.headers["content-type"] == "text/event-stream"
        assert content.decode().split("\n\n") == [
            'event: ping\ndata: {"type": "ping"}',
            'data: {"choices": []}',
            "data: not json",
            "data: [DONE]",
            "",
        ]

    @pytest.mark.parametrize(
        ("path", "status", "kind"),
        [
            (CHAT, 401, "invalid_request_error"),
            (CHAT, 429, "requests"),
            (CHAT, 500, "server_error"),
            (MESSAGES, 402, "billing_error"),
            (MESSAGES, 429, "rate_limit_error"),
            (MESSAGES, 529, "overloaded_error"),
        ],
    )
    def test_an_error_without_body_gets_the_vendors(self, serve: Callable, path: str, status: int, kind: str) -> None:
        reply, content = post(serve([{"status": status}]), path=path)
        assert (reply.status, json.loads(content)["error"]["type"]) == (status, kind)

    def test_headers_and_redirects(self, serve: Callable) -> None:
        reply, content = post(serve([{"status": 302, "headers": {"location": "http://127.0.0.2:9/", "X-A": "1"}}]))
        assert (reply.status, reply.headers["location"], reply.headers["x-a"]) == (302, "http://127.0.0.2:9/", "1")
        assert content == b""

    def test_the_clients_headers_are_echoed(self, serve: Callable) -> None:
        step = {
            "status": 401,
            "headers": {"x-echo": "{authorization}"},
            "body": {"error": {"message": "bad key {authorization}", "tags": ["{nothing}", 1]}},
        }
        server = serve([step])
        reply, content = post(server, Authorization="Bearer sk-sentinel")
        assert reply.headers["x-echo"] == "Bearer sk-sentinel"
        assert json.loads(content)["error"] == {"message": "bad key Bearer sk-sentinel", "tags": ["{nothing}", 1]}
        assert server.requests[0].headers["authorization"] == "Bearer sk-sentinel"

    def test_a_cut_body_is_shorter_than_announced(self, serve: Callable) -> None:
        with pytest.raises(IncompleteRead) as caught:
            post(serve([{"cut_after_bytes": 10}]))
        assert len(caught.value.partial) == 10

    def test_a_cut_stream_just_ends(self, serve: Callable) -> None:
        _, content = post(serve([{"stream": [{"choices": []}, "[DONE]"], "cut_after_bytes": 12}]))
        assert content == b'data: {"choi'

    def test_delay_leaves_the_answer_alone(self, serve: Callable) -> None:
        assert json.loads(post(serve([{"delay_s": 0.01}]))[1])["choices"][0]["message"]["content"] == "unknown"

    def test_a_delay_does_not_hide_an_error(self, serve: Callable) -> None:
        assert post(serve([{"delay_s": 0.01}]), path="/v1/nothing")[0].status == 404

    def test_a_server_that_never_answers_can_be_left(self, serve: Callable) -> None:
        server = serve([{"delay_s": 1e6}])
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=0.1)
        connection.request("POST", CHAT, "{}")
        with pytest.raises((TimeoutError, HTTPException)):
            connection.getresponse()
        connection.close()
        while not server.hits(CHAT):
            time.sleep(0.01)
        assert server.hits(CHAT) == 1


SCRIPT = """
- status: 429
  headers: {retry-after: "1"}
- match: {every: 10, path: /v1/messages}
  delay_s: 0.5
- match: {prompt: "hello.*->$", call: 3}
  body: {n: 1, ok: true, none: null, text: yes, list: [1.5, word]}
- stream: [{index: 0}, "[DONE]"]
  cut_after_bytes: 20
  repeat: 2
"""


class TestFiles:
    def test_yaml_and_json_say_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "s.yaml").write_text(SCRIPT)
        as_json = [
            {"status": 429, "headers": {"retry-after": "1"}},
            {"match": {"every": 10, "path": MESSAGES}, "delay_s": 0.5},
            {
                "match": {"prompt": "hello.*->$", "call": 3},
                "body": {"n": 1, "ok": True, "none": None, "text": "yes", "list": [1.5, "word"]},
            },
            {"stream": [{"index": 0}, "[DONE]"], "cut_after_bytes": 20, "repeat": 2},
        ]
        (tmp_path / "s.json").write_text(json.dumps(as_json))
        assert read_script(tmp_path / "s.yaml") == read_script(tmp_path / "s.json")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("- statsu: 500", r"s.yaml:1: step 1: unknown key 'statsu'. Did you mean 'status'"),
            ("- status: 500\n- match: {evry: 2}", r"s.yaml:2: step 2: unknown key 'evry'. Did you mean 'every'"),
            ("- status: many", r"s.yaml:1: step 1: status: .*integer"),
            ("- status: 99", r"status: .*greater"),
            ("- delay_s: -1", r"delay_s: .*greater"),
            ("- match: {call: 0}", r"match.call: .*greater"),
            ("- match: {prompt: '('}", r"match.prompt: not a regular expression"),
            ("- body: {}\n  raw: x", r"one of body, raw and stream"),
            ("- status: 1\n  status: 2", r"given twice"),
            ("status: 500", r"a script is a list of steps"),
            ("- 500", r"step 1"),
            ("- [", r"s.yaml:1: not valid YAML"),
        ],
    )
    def test_bad_files_are_refused_politely(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(UsageError, match=message):
            read_script(tmp_path / "s.yaml")

    def test_bad_json_absent_and_binary_files(self, tmp_path: Path) -> None:
        (tmp_path / "s.json").write_text("[{]")
        (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00")
        for name, message in (("s.json", "not valid JSON"), ("s.yaml", "not UTF-8"), ("x.yaml", "No such file")):
            with pytest.raises(UsageError, match=message):
                read_script(tmp_path / name)

    def test_the_server_takes_a_file(self, serve: Callable, tmp_path: Path) -> None:
        (tmp_path / "s.yaml").write_text(SCRIPT)
        assert statuses(serve(tmp_path / "s.yaml"), {}) == [429]

    def test_steps_in_python_are_checked_too(self) -> None:
        with pytest.raises(UsageError, match="Did you mean 'status'"):
            FakeServer([{"statsu": 500}])
