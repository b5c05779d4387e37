"""What servers send, good and bad, through the real SDKs."""

from __future__ import annotations

from typing import Any

import pytest

from evals.types import Status
from icl.fake import FakeServer
from icl.models.api.model import OpenAIModel
from icl.models.base import DecisionRequest, GenerateRequest

from .conftest import ASK, PROMPT, FakeClock, chat, message, response

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])

PROVIDERS = ("openai", "anthropic")
GOOD = {"openai": chat(), "anthropic": message()}
#: 200 bodies that both SDKs accept or choke on.
BAD = {
    "html": "<html>gateway</html>",
    "null": None,
    "list": [],
    "object": {},
    "error": {"error": {"message": "no", "type": "server_error"}},
    "wrong-types": {"choices": 3, "content": 3, "model": []},
    "no-choices": {"choices": [], "content": None},
    "bad-json": '{"choices": [',
    "empty": "",
    "bad-utf8": b'{"choices": "\xff\xfe"}',
    "nan": '{"choices": [{"finish_reason": "stop", "message": {"content": "a"}}], "content": [], "usage": NaN}',
    "deep": "[" * 100_000,
    **{f"deep-{n}": "[" * n + "]" * n for n in (200, 300, 450, 900)},
}


#: Those that come as a server writes them: another attempt brings the same.
LASTING = ("null", "list", "object", "wrong-types", "no-choices")


@pytest.mark.promise(5)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_retried_and_never_kept(scripted, model, clock, provider: str, name: str) -> None:
    body = BAD[name]
    # How deep a document can be read depends on where its reader stands.
    attempts = (2,) if name in LASTING else (2, 7) if name.startswith("deep-") else (7,)
    scripted(body)
    asked = model(provider, cache=True)
    (found,) = asked.generate([ASK])
    assert found.status is Status.BAD_RESPONSE
    assert len(found.text) <= 2048 + 100
    assert len(scripted.seen) == found.requests
    assert found.requests in attempts
    assert found.usage.usd == 0.0 or found.usage.usd is None
    scripted(body, GOOD[provider])
    (again,) = model(provider, cache=True).generate([ASK])
    assert (again.text, again.status, again.requests) == ("positive", Status.OK, 2)


@pytest.mark.promise(5)
def test_the_beginning_of_a_bad_answer_is_kept(scripted, model) -> None:
    scripted("<html>" + "x" * 10_000)
    (found,) = model().generate([ASK])
    assert "<html>xxx" in found.text


def parts(*content: Any) -> dict[str, Any]:
    return chat(message={"content": list(content)})


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "negative"}]}

READ = [
    ("openai", parts({"type": "text", "text": "positive"}), Status.OK, "positive"),
    ("openai", parts({"type": "text", "text": "posi"}, {"type": "text", "text": "tive"}), Status.OK, "positive"),
    ("openai", parts({"type": "output_text", "text": "positive", "annotations": []}), Status.OK, "positive"),
    ("openai", parts(THOUGHT, {"type": "text", "text": "positive"}), Status.OK, "positive"),
    ("openai", parts("positive"), Status.OK, "positive"),
    ("openai", parts({"type": "text", "text": None}), Status.OK, ""),
    ("openai", parts(), Status.OK, ""),
    ("openai", parts({"type": "refusal", "refusal": "I will not"}), Status.REFUSED, "I will not"),
    ("anthropic", message() | {"content": "positive"}, Status.OK, "positive"),
    ("openai", chat(" positive "), Status.OK, " positive "),
    ("openai", chat(None), Status.OK, ""),
    ("openai", chat("  \n"), Status.OK, "  \n"),
    ("openai", chat(None, message={"refusal": "I will not"}), Status.REFUSED, "I will not"),
    ("openai", chat("posi", "content_filter"), Status.FILTERED, "posi"),
    ("openai", chat("posi", "length"), Status.TRUNCATED, "posi"),
    ("openai", chat("caf\ud800"), Status.OK, "caf?"),
    ("anthropic", message(), Status.OK, "positive"),
    ("anthropic", message(None), Status.OK, ""),
    ("anthropic", message("no", "refusal"), Status.REFUSED, "no"),
    ("anthropic", message("posi", "max_tokens"), Status.TRUNCATED, "posi"),
    ("anthropic", message(None, "model_context_window_exceeded"), Status.CONTEXT_EXCEEDED, "model_context"),
    (
        "anthropic",
        message() | {"content": [{"type": "thinking", "thinking": "negative"}, {"type": "text", "text": "positive"}]},
        Status.OK,
        "positive",
    ),
]


@pytest.mark.promise(6)
@pytest.mark.promise(7)
@pytest.mark.promise(8)
@pytest.mark.parametrize(("provider", "body", "status", "text"), READ, ids=lambda value: str(value)[:40])
def test_what_an_answer_says(scripted, model, provider: str, body: Any, status: Status, text: str) -> None:
    scripted(body)
    for expected in (1, 1 if status is Status.OK and text.strip() else 2):
        (found,) = model(provider, cache=True).generate([ASK])
        assert (found.status, found.text[: len(text)]) == (status, text)
        assert len(scripted.seen) == expected, "kept only where it is worth keeping"


THOUGHTS = {
    "before": "<think>\nnegative? no\n</think>\n\npositive",
    "none": "positive",
    "empty": "<think>\n\n</think>positive\n",
    "after": "positive <think>was that right?</think>",
    "two": "<think>a</think>posi<think>b</think>tive",
    "nested": "<think>a<think>b</think>negative</think>positive",
    "opened by the prompt": "negative? no\n</think>\npositive",
    "never closed": "positive <think>negative",
    "another word": "<Thinking>negative</Thinking> positive",
}


@pytest.mark.promise(124)
@pytest.mark.parametrize("text", THOUGHTS.values(), ids=THOUGHTS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_thoughts_are_no_part_of_an_answer(scripted, model, provider: str, text: str) -> None:
    scripted({"openai": chat, "anthropic": message}[provider](text))
    asked = model(provider, strip_thinking=True, cache=True)
    for _ in ("asked", "from the cache"):
        (found,) = asked.generate([GenerateRequest(PROMPT, 8, stop=("\n",))])
        assert found.text == "positive"
    (sent,) = scripted.bodies
    assert not {"stop", "stop_sequences"} & set(sent)
    assert sent["max_tokens"] == 8 + 2048
    assert asked.capabilities.top_logprobs == 0
    assert asked.describe()["strip_thinking"] is True


@pytest.mark.promise(124)
def test_thoughts_stay_unless_told_otherwise(scripted, model) -> None:
    scripted(chat("<think>x</think>positive"))
    asked = model()
    (found,) = asked.generate([ASK])
    assert found.text == "<think>x</think>positive"
    assert any("strip_thinking=true" in note for note in asked.notes)
    assert "strip_thinking" not in asked.describe()


@pytest.mark.promise(9)
@pytest.mark.parametrize(("provider", "body"), [("openai", chat("pos", None)), ("anthropic", message("pos", None))])
def test_an_answer_without_an_end_is_none(scripted, model, provider: str, body: Any) -> None:
    scripted(body, GOOD[provider])
    (found,) = model(provider).generate([ASK])
    assert (found.status, found.requests) == (Status.OK, 2)


RESPONSES = [
    (response(), Status.OK, "positive"),
    (response(output=[{"type": "reasoning", "summary": []}, *response()["output"]]), Status.OK, "positive"),
    (
        response(output=[{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]),
        Status.REFUSED,
        "no",
    ),
    (
        response("po", status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        Status.TRUNCATED,
        "po",
    ),
    (response("po", status="incomplete", incomplete_details={"reason": "content_filter"}), Status.FILTERED, "po"),
    (
        response(status="failed", error={"code": "context_length_exceeded", "message": "long"}),
        Status.CONTEXT_EXCEEDED,
        "long",
    ),
    (response(status="failed", error={"code": "server_error", "message": "oops"}), Status.BAD_RESPONSE, "the server"),
    (response(status="in_progress"), Status.BAD_RESPONSE, "the response is in_progress"),
]


@pytest.mark.promise(7)
@pytest.mark.parametrize(("body", "status", "text"), RESPONSES, ids=lambda value: str(value)[:30])
def test_what_a_response_says(scripted, model, body: Any, status: Status, text: str) -> None:
    scripted(body)
    (found,) = model(api="responses").generate([ASK])
    assert (found.status, found.text[: len(text)]) == (status, text)
    sent = scripted.bodies[0]
    assert (scripted.seen[0][0], sent["stream"], sent["store"]) == ("/v1/responses", False, False)


def decision(*pairs: tuple[str, float], **more: Any) -> dict[str, Any]:
    probabilities = [{"value": value, "probability": p} for value, p in pairs]
    return {"model": "m-1", "answers": [{"type": "choice", "name": "label", "probabilities": probabilities, **more}]}


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    ("body", "status", "probabilities"),
    [
        (decision(("b", 0.75), ("a", 0.25)), Status.OK, (0.25, 0.75)),
        (decision(type="refusal"), Status.REFUSED, None),
        (decision(("a", 1.0)), Status.BAD_RESPONSE, None),
        (decision(("a", 0.5), ("b", 0.25), ("b", 0.25)), Status.BAD_RESPONSE, None),
        (decision(("a", 1.5), ("b", -0.5)), Status.BAD_RESPONSE, None),
        (decision(("a", 0.5), ("c", 0.5)), Status.BAD_RESPONSE, None),
    ],
    ids=["reordered", "refused", "missing", "twice", "no-probability", "other-label"],
)
def test_what_a_decision_says(scripted, model, body: Any, status: Status, probabilities: Any) -> None:
    scripted(body)
    (found,) = model().decide([DecisionRequest(PROMPT, ("a", "b"))])
    assert (found.status, found.probabilities) == (status, probabilities)


@pytest.mark.promise(43)
def test_absent_log_probabilities_stay_absent(scripted, model) -> None:
    top = [{"token": "pos", "logprob": -0.1}, {"token": "neg", "logprob": -9999.0}, {"token": "pos", "logprob": -5}]
    logprobs = {"content": [{"token": "pos", "logprob": -0.1, "top_logprobs": top}]}
    scripted(chat("pos", "length", logprobs=logprobs))
    assert model().next_token([PROMPT]) == [{"pos": -0.1}]
    assert scripted.bodies[0]["top_logprobs"] == 20


def test_tokens_are_counted_with_those_of_the_cache(scripted, model) -> None:
    for provider, body in GOOD.items():
        scripted(body)
        (found,) = model(provider, input_price=1.0, output_price=2.0).generate([ASK])
        assert (found.tokens_in, found.tokens_cached, found.tokens_out) == (5, 4, 1)
        assert found.usd == pytest.approx((9 * 1 + 1 * 2) / 1e6)


def test_an_answer_ends_where_it_should(scripted, model) -> None:
    scripted(chat("\npositive\nReview: more"))
    (found,) = model().generate([GenerateRequest(PROMPT, stop=("\n",))])
    assert found.text == "positive"


@pytest.mark.promise(4)
def test_a_body_that_is_cut_is_asked_for_again(clock: FakeClock) -> None:
    with FakeServer([{"cut_after_bytes": 10, "repeat": 1}]) as server:
        (found,) = OpenAIModel("m", base_url=server.openai_url, clock=clock, cache=False).generate([ASK])
    assert (found.status, found.text, found.requests) == (Status.OK, "positive", 2)
