"""OpenAI's own SDK, with strict validation, accepts every answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from icl.fake import FakeServer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

MESSAGES = [
    {"role": "system", "content": "Is it good?"},
    {"role": "user", "content": "what a lovely film"},
    {"role": "assistant", "content": "positive"},
    {"role": "user", "content": "a dreadful bore"},
    {"role": "assistant", "content": "negative"},
    {"role": "user", "content": "such a lovely story"},
]
ASKED = {"model": "any", "instructions": "Is it good?", "input": MESSAGES[1:]}
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["negative", "neutral", "positive"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@pytest.fixture
def client(serve: Callable[..., FakeServer], openai_client: Callable[[FakeServer], Any]) -> Any:
    return openai_client(serve())


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["any"]


class TestChat:
    def test_answer(self, client: Any) -> None:
        reply = client.chat.completions.create(model="any", messages=MESSAGES)
        assert reply.choices[0].message.content == "positive"
        assert (reply.choices[0].finish_reason, reply.choices[0].logprobs) == ("stop", None)
        assert reply.usage.total_tokens == reply.usage.prompt_tokens + 1
        assert reply._request_id.startswith("req_")

    def test_logprobs_are_probabilities_of_first_tokens(self, client: Any) -> None:
        reply = client.chat.completions.create(model="any", messages=MESSAGES, logprobs=True, top_logprobs=20)
        (token,) = reply.choices[0].logprobs.content
        top = {row.token: math.exp(row.logprob) for row in token.top_logprobs}
        assert token.token == "positive" == max(top, key=lambda name: top[name])
        assert {"positive", "negative"} < set(top)
        assert sum(top.values()) == pytest.approx(1)
        assert 0.9 < top["positive"] + top["negative"] < 1

    def test_top_logprobs_are_as_many_as_asked(self, client: Any) -> None:
        reply = client.chat.completions.create(model="any", messages=MESSAGES, logprobs=True, top_logprobs=1)
        assert [row.token for row in reply.choices[0].logprobs.content[0].top_logprobs] == ["positive"]

    def test_labels_may_share_their_first_token(self, client: Any) -> None:
        messages = [dict(turn) for turn in MESSAGES]
        messages[2]["content"], messages[4]["content"] = "card_arrival", "card_linking"
        reply = client.chat.completions.create(model="any", messages=messages, logprobs=True, top_logprobs=5)
        first, _, third = reply.choices[0].logprobs.content
        assert [row.token for row in first.top_logprobs] == ["card", "\n"]
        assert {row.token for row in third.top_logprobs} == {"arrival", "linking"}

    def test_schema(self, client: Any) -> None:
        wanted = {"type": "json_schema", "json_schema": {"name": "label", "strict": True, "schema": SCHEMA}}
        reply = client.chat.completions.create(model="any", messages=MESSAGES, response_format=wanted)
        assert json.loads(reply.choices[0].message.content) == {"label": "positive"}

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_limit_truncates(self, client: Any, name: str) -> None:
        messages = [*MESSAGES[:2], {"role": "assistant", "content": "very good indeed"}, MESSAGES[-1]]
        reply = client.chat.completions.create(model="any", messages=messages, **{name: 2})
        assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("very good", "length")

    def test_n_choices(self, client: Any) -> None:
        reply = client.chat.completions.create(model="any", messages=MESSAGES, n=3)
        assert [choice.message.content for choice in reply.choices] == ["positive"] * 3

    def test_stream(self, client: Any) -> None:
        options = {"stream": True, "logprobs": True, "top_logprobs": 2, "stream_options": {"include_usage": True}}
        chunks = list(client.chat.completions.create(model="any", messages=MESSAGES, **options))
        *said, usage = chunks
        assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == "positive"
        assert [chunk.choices[0].finish_reason for chunk in said] == [None, None, "stop"]
        assert said[1].choices[0].logprobs.content[0].token == "positive"
        assert (usage.choices, usage.usage.completion_tokens) == ([], 1)


class TestResponses:
    def test_answer(self, client: Any) -> None:
        reply = client.responses.create(**ASKED)
        assert (reply.output_text, reply.status) == ("positive", "completed")
        assert reply.usage.input_tokens == client.responses.input_tokens.count(**ASKED).input_tokens

    def test_logprobs(self, client: Any) -> None:
        reply = client.responses.create(**ASKED, include=["message.output_text.logprobs"], top_logprobs=2)
        (token,) = reply.output[0].content[0].logprobs
        assert [row.token for row in token.top_logprobs] == ["positive", "negative"]

    def test_schema(self, client: Any) -> None:
        wanted = {"format": {"type": "json_schema", "name": "label", "strict": True, "schema": SCHEMA}}
        assert json.loads(client.responses.create(**ASKED, text=wanted).output_text) == {"label": "positive"}

    def test_limit_truncates(self, client: Any) -> None:
        wanted = {"format": {"type": "json_schema", "name": "label", "strict": True, "schema": SCHEMA}}
        reply = client.responses.create(**ASKED, text=wanted, max_output_tokens=2)
        assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")

    def test_stream(self, client: Any) -> None:
        events = list(client.responses.create(**ASKED, stream=True))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "positive"
        assert (events[-1].type, events[-1].response.output_text) == ("response.completed", "positive")

    def test_stream_helper(self, client: Any) -> None:
        with client.responses.stream(**ASKED) as stream:
            assert stream.get_final_response().output_text == "positive"


def test_decisions(client: Any) -> None:
    questions = [
        {
            "type": "choice",
            "name": "label",
            "instructions": "Is it good?",
            "choices": [{"value": "negative"}, {"value": "positive"}],
        },
        {"type": "choice", "instructions": "Is it?", "choices": [{"value": True}, {"value": False}]},
        {"type": "predicate", "instructions": "Is it?"},
        {"type": "score", "instructions": "How?", "levels": [{"label": "negative"}, {"label": "positive"}]},
    ]
    reply = client.decisions.create(model="any", input=MESSAGES, questions=questions)
    choice, typed, predicate, score = reply.answers
    assert (choice.name, choice.choice) == ("label", "positive")
    assert sum(row.probability for row in choice.probabilities) == pytest.approx(1)
    assert typed.choice in (True, False)
    assert 0 <= predicate.probability <= 1
    assert score.score > 0.5


def test_batch(client: Any, serve: Callable[..., FakeServer], openai_client: Callable[[FakeServer], Any]) -> None:
    client = openai_client(serve([{"match": {"prompt": "spoilt"}, "status": 400}]))

    def line(name: str, *extra: dict[str, str]) -> str:
        body = {"model": "any", "messages": [*extra, *MESSAGES]}
        return json.dumps(
            {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}, ensure_ascii=False
        )

    lines = [
        line("a"),
        line("b", {"role": "system", "content": "spoilt"}),
        line("다", {"role": "user", "content": "야"}),
    ]
    file = client.files.create(file=("b.jsonl", "\n".join(lines).encode()), purpose="batch")
    assert client.files.retrieve(file.id).bytes == len("\n".join(lines).encode())
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert (made.status, made.output_file_id) == ("validating", None)
    done = client.batches.retrieve(made.id)
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 2, 1)
    good = [json.loads(row) for row in client.files.content(done.output_file_id).text.splitlines()]
    bad = [json.loads(row) for row in client.files.content(done.error_file_id).text.splitlines()]
    assert [row["custom_id"] for row in good] == ["다", "a"]
    assert good[1]["response"]["body"]["choices"][0]["message"]["content"] == "positive"
    assert [(row["custom_id"], row["response"]["status_code"]) for row in bad] == [("b", 400)]


def test_what_an_earlier_prompt_shares_is_cached(client: Any) -> None:
    def cached(model: str, query: str) -> int:
        asked = [{"role": "system", "content": "Is it good? " * 20}, {"role": "user", "content": query}]
        usage = client.chat.completions.create(model=model, messages=asked).usage
        assert usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens
        return usage.prompt_tokens_details.cached_tokens

    assert cached("one", "first") == 0
    assert cached("one", "second") > 50
    assert cached("two", "second") == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.post("/chat/completions", cast_to=object, body={"model": "any"}), "messages"),
        (lambda client: client.post("/chat/completions", cast_to=object, body=[]), "JSON object"),
        (lambda client: client.responses.create(model="any", input=3), "does not fit"),
        (lambda client: client.files.content("file-9"), "file-9"),
        (lambda client: client.batches.retrieve("batch_9"), "batch_9"),
        (lambda client: client.embeddings.create(model="any", input="x"), "no such endpoint"),
    ],
    ids=["field missing", "no object", "wrong type", "no file", "no batch", "no endpoint"],
)
def test_errors_are_openais(client: Any, call: Callable[[Any], Any], message: str) -> None:
    import openai

    with pytest.raises(openai.APIStatusError, match=message) as caught:
        call(client)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.status_code in (400, 404)
    assert caught.value.request_id
