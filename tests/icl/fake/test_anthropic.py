"""Anthropic's own SDK, with strict validation, accepts every answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from icl.fake import FakeServer
from tests.icl.fake.test_openai import MESSAGES, SCHEMA

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

ASKED = {"model": "any", "max_tokens": 16, "system": "Is it good?", "messages": MESSAGES[1:]}


@pytest.fixture
def client(serve: Callable[..., FakeServer], anthropic_client: Callable[[FakeServer], Any]) -> Any:
    return anthropic_client(serve())


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["any"]


def test_answer(client: Any) -> None:
    reply = client.messages.create(**ASKED)
    assert (reply.content[0].text, reply.stop_reason) == ("positive", "end_turn")
    assert (
        reply.usage.input_tokens
        == client.messages.count_tokens(
            **{name: value for name, value in ASKED.items() if name != "max_tokens"}
        ).input_tokens
    )
    assert reply._request_id.startswith("req_")


def test_schema(client: Any) -> None:
    reply = client.messages.create(**ASKED, output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert json.loads(reply.content[0].text) == {"label": "positive"}


def test_limit_truncates(client: Any) -> None:
    wanted = {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert client.messages.create(**{**ASKED, "max_tokens": 2}, output_config=wanted).stop_reason == "max_tokens"


def test_stream(client: Any) -> None:
    events = list(client.messages.create(**ASKED, stream=True))
    assert "".join(event.delta.text for event in events if event.type == "content_block_delta") == "positive"
    assert events[0].message.stop_reason is None
    assert events[-2].delta.stop_reason == "end_turn"


def test_stream_helper(client: Any) -> None:
    with client.messages.stream(**ASKED) as stream:
        assert stream.get_final_message().content[0].text == "positive"


def test_only_what_is_marked_is_cached(client: Any) -> None:
    def figures(query: str, **mark: Any) -> tuple[int, int]:
        block = {"type": "text", "text": "Is it good? " * 20, **mark}
        messages = [{"role": "user", "content": query}]
        usage = client.messages.create(model="any", max_tokens=4, system=[block], messages=messages).usage
        return usage.cache_creation_input_tokens, usage.cache_read_input_tokens

    mark = {"cache_control": {"type": "ephemeral"}}
    assert figures("first") == (0, 0)
    written, read = figures("second", **mark)
    assert (written > 50, read) == (True, 0)
    assert figures("third", **mark) == (0, written)
    assert figures("fourth") == (0, 0)


def test_batch(serve: Callable[..., FakeServer], anthropic_client: Callable[[FakeServer], Any]) -> None:
    client = anthropic_client(serve([{"match": {"prompt": "spoilt"}, "status": 529}]))
    params = [ASKED, {**ASKED, "system": "spoilt"}]
    requests = [{"custom_id": name, "params": asked} for name, asked in zip("ab", params, strict=True)]
    made = client.messages.batches.create(requests=requests)
    assert (made.processing_status, made.request_counts.processing) == ("in_progress", 2)
    done = client.messages.batches.retrieve(made.id)
    assert (done.processing_status, done.request_counts.succeeded, done.request_counts.errored) == ("ended", 1, 1)
    bad, good = client.messages.batches.results(made.id)
    assert (good.custom_id, good.result.message.content[0].text) == ("a", "positive")
    assert (bad.custom_id, bad.result.error.error.type) == ("b", "overloaded_error")


@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [
        (lambda c: c.messages.create(**ASKED, extra_body={"temperature": 0}), 400, "invalid_request_error"),
        (lambda c: c.post("/v1/messages", cast_to=object, body={"model": "any"}), 400, "invalid_request_error"),
        (lambda c: c.messages.batches.retrieve("msgbatch_9"), 404, "not_found_error"),
    ],
    ids=["sampling parameter", "field missing", "no batch"],
)
def test_errors_are_anthropics(client: Any, call: Callable[[Any], Any], status: int, kind: str) -> None:
    import anthropic

    with pytest.raises(anthropic.APIStatusError) as caught:
        call(client)
    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.request_id


def test_an_older_version_of_the_interface_takes_sampling_parameters(client: Any) -> None:
    older = {"extra_body": {"temperature": 0}, "extra_headers": {"anthropic-version": "2023-06-01"}}
    assert client.messages.create(**ASKED, **older).content[0].text == "positive"
