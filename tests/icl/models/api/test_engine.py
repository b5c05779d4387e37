"""What is sent, what is not, and what a run remembers."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest

from evals.learner import Budget, Context
from evals.types import Status
from fewshot.core.errors import BudgetReached, ModelUnavailable, UsageError
from icl.fake import FakeServer
from icl.models.api.model import OpenAIModel
from icl.models.api.transport import Reply, Transport
from icl.models.base import GenerateRequest, Message, Prompt

from .conftest import ASK, KEY, PROMPT, chat, message, response

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])


class DictLedger(dict[str, Any]):
    """The ledger of a run."""

    def put(self, key: str, record: dict[str, Any]) -> None:
        self[key] = record


def asking(*texts: str) -> list[GenerateRequest]:
    return [GenerateRequest(Prompt(messages=(Message("user", text),)), max_tokens=8) for text in texts]


def error(status: int, code: str = "", text: str = "no", **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": text, "type": "some_error", "code": code or None, **more}}


@pytest.mark.promise(1)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_only_our_own_loop_retries(scripted, model, clock, provider: str) -> None:
    good = {"openai": chat(), "anthropic": message()}[provider]
    scripted(error(429), error(529), (500, "<html>oops</html>"), good)
    told: list[str] = []
    asked = model(provider)
    asked.attend(Context(notify=told.append))
    (found,) = asked.generate([ASK])
    assert (found.text, found.requests, len(scripted.seen), len(clock.slept)) == ("positive", 4, 4, 3)
    assert "429" in told[0], "waits are told"


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    ("reply", "status", "requests"),
    [
        (error(408), Status.ERROR, 7),
        (error(409), Status.ERROR, 7),
        (error(429), Status.RATE_LIMITED, 7),
        (error(503), Status.ERROR, 7),
        (error(529), Status.RATE_LIMITED, 7),
        ((429, {}, {"retry-after": "4294967"}), Status.RATE_LIMITED, 1),
        ((503, {}, {"retry-after": "9999", "x-should-retry": "true"}), Status.RATE_LIMITED, 1),
        (error(400), Status.ERROR, 1),
        (error(422), Status.ERROR, 1),
        (error(400, "context_length_exceeded"), Status.CONTEXT_EXCEEDED, 1),
        (error(413, text="prompt is too long: 300000 tokens > 200000 maximum"), Status.CONTEXT_EXCEEDED, 1),
        (error(400, "content_policy_violation"), Status.FILTERED, 1),
    ],
    ids=str,
)
def test_what_becomes_of_an_error(scripted, model, clock, reply: Any, status: Status, requests: int) -> None:
    scripted(reply)
    (found,) = model().generate([ASK])
    assert (found.status, found.requests, len(scripted.seen)) == (status, requests, requests)
    assert sum(clock.slept) <= 300


@pytest.mark.promise(3)
@pytest.mark.parametrize(
    "reply",
    [
        *(error(401, "invalid_api_key"), error(402), error(403), error(404, "model_not_found")),
        *(error(429, "insufficient_quota"), (401, "<html>"), (404, '{"detail": "Not Found"}')),
    ],
    ids=lambda reply: str(reply)[:50],
)
def test_a_run_that_cannot_succeed_stops_at_once(scripted, model, reply: Any) -> None:
    scripted(reply)
    with pytest.raises(ModelUnavailable, match=str(reply[0])) as caught:
        model().generate(asking(*map(str, range(50))))
    assert (len(scripted.seen), caught.value.exit_code) == (1, 5)


@pytest.mark.promise(3)
def test_a_run_that_can_succeed_no_longer_stops_soon(scripted, model) -> None:
    scripted(chat(), error(401, "revoked"))
    with pytest.raises(ModelUnavailable, match="revoked"):
        model(concurrency=1).generate(asking(*map(str, range(50))))
    assert len(scripted.seen) == 1 + 3
    scripted.seen.clear()
    scripted(chat(), error(403), chat(), error(403), chat())
    statuses = [found.status for found in model(concurrency=1).generate(asking(*"abcde"))]
    assert statuses == [Status.OK, Status.AUTH, Status.OK, Status.AUTH, Status.OK]


@pytest.mark.promise(4)
def test_a_server_that_is_not_there(model, clock) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        model(base_url="http://127.0.0.1:1/v1").generate([ASK])
    assert sum(clock.slept) <= 300


REFUSALS = [
    ("temperature", "Unsupported parameter: 'temperature' is not supported with this model."),
    ("seed", "Unrecognized request argument supplied: seed"),
    ("stop", "Extra inputs are not permitted: stop"),
]


@pytest.mark.promise(10)
@pytest.mark.parametrize(("name", "text"), REFUSALS)
@pytest.mark.parametrize("told", [True, False], ids=["param", "message"])
def test_a_refused_parameter_is_dropped_once(scripted, model, name: str, text: str, told: bool) -> None:
    refusal = error(400, "unsupported_parameter" if told else "", text, param=name if told else None)
    scripted(lambda seen: refusal if name in seen[2] else chat())
    asked = model(seed=7, concurrency=1)
    found = asked.generate([GenerateRequest(PROMPT, 8 + at, stop=("\n",)) for at in range(3)])
    assert [generation.status for generation in found] == [Status.OK] * 3
    assert [name in body for body in scripted.bodies] == [True, False, False, False]
    assert [note for note in asked.notes if repr(name) in note] == [
        f"openai:m: the model does not take {name!r}: it is no longer sent"
    ]


@pytest.mark.promise(10)
def test_a_parameter_with_two_names(scripted, model) -> None:
    refusal = error(400, text="Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    scripted(lambda seen: refusal if "max_tokens" in seen[2] else chat())
    (found,) = model().generate([ASK])
    assert found.status is Status.OK
    assert [body.get("max_completion_tokens") for body in scripted.bodies] == [None, 8]
    scripted(error(400, text="Unsupported: max_tokens, max_completion_tokens"))
    (found,) = model().generate([ASK])
    assert found.status is Status.ERROR


#: What servers say whose models know no system messages.
NO_SYSTEM = {
    "a chat template": error(400, text="System role not supported"),
    "roles that must alternate": error(400, text="Conversation roles must alternate user/assistant/user/assistant/..."),
    "known roles": error(400, text="Only user and assistant roles are supported!"),
    "the first turn": error(400, text="The conversation must start with a user message"),
    "Gemma at its maker": error(400, text="Developer instruction is not enabled for models/gemma-3-27b-it"),
    "a parameter": error(
        *(400, "unsupported_value", "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
        param="messages[0].role",
    ),
    "a parameter alone": error(400, text="invalid", param="messages.0.role"),
    "serde": (422, "messages[0].role: unknown variant `system`, expected `user` or `assistant` at line 1"),
    "pydantic": (
        *(422, {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}),
    ),
    "another field": error(400, text="system: Extra inputs are not permitted"),
    "an error in the template": error(
        500, text="Error rendering prompt with jinja template: System role not supported"
    ),
}


@pytest.mark.promise(123)
@pytest.mark.parametrize("refusal", NO_SYSTEM.values(), ids=NO_SYSTEM)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "responses"])
def test_a_model_without_system_role_reads_the_instruction_in_the_first_turn(
    scripted, model, clock, refusal: Any, provider: str
) -> None:
    good = {"openai": chat(), "anthropic": message(), "responses": response()}[provider]
    asked = model("anthropic") if provider == "anthropic" else model(api=provider.replace("openai", "chat"))

    def reply(seen: Any) -> Any:
        turns = seen[2].get("messages") or seen[2]["input"]
        return refusal if "system" in seen[2] or turns[0]["role"] == "system" else good

    scripted(reply)
    found = asked.generate([GenerateRequest(PROMPT, 8 + at) for at in range(12)])
    assert {generation.status for generation in found} == {Status.OK}
    assert (len(scripted.seen), clock.slept) == (13, []), "found out once"
    body = scripted.bodies[-1]
    turns = body.get("messages") or body["input"]
    said = [turn["content"] if isinstance(turn["content"], str) else turn["content"][0]["text"] for turn in turns]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert said == ["Name the sentiment.\n\ngood film", "positive", "a lovely film"]
    assert [note for note in asked.notes if "system" in note] == [
        f"{asked.name}: the model has no system role: the instruction begins the first user turn"
    ]


@pytest.mark.promise(123)
@pytest.mark.parametrize(
    ("refusal", "requests"),
    [
        (error(400, text="The image is too small"), 1),
        (error(400, "context_length_exceeded", "system and user messages are too long"), 1),
        (error(500, text="internal system failure"), 7),
        (error(429, text="the system is busy, and so are its roles"), 7),
        (error(400, text="System role not supported"), 2),
    ],
    ids=str,
)
def test_other_errors_leave_the_system_message_where_it_is(scripted, model, refusal: Any, requests: int) -> None:
    scripted(refusal)
    (found,) = model().generate([ASK])
    assert found.status is not Status.OK
    assert len(scripted.seen) == requests


MALFORMED = {
    "content is a number": (chat() | {"choices": [{"finish_reason": "stop", "message": {"content": 3}}]}, 2),
    "parts without a type": (chat(message={"content": [{"words": "positive"}]}), 2),
    "the native form of another server": ({"model": "m", "message": {"content": "positive"}, "done": True}, 2),
    "the page of a web server": ("<html>welcome</html>", 7),
    "an error that is none": ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, 7),
    "without an end": (chat("positive", None), 7),
}


@pytest.mark.promise(125)
@pytest.mark.parametrize(("body", "first"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_server_of_another_form_is_asked_no_further(scripted, model, body: Any, first: int, concurrency: int) -> None:
    scripted(body)
    asked = model(concurrency=concurrency)
    with pytest.raises(
        ModelUnavailable, match=r"3 requests in a row failed alike.* Does --base-url lead to"
    ) as stopped:
        asked.generate(asking(*map(str, range(50))))
    assert len(scripted.seen) == first + 2, "the form is known after the first request"
    assert "\n" not in str(stopped.value)
    assert len(str(stopped.value)) < 500


@pytest.mark.promise(125)
def test_an_odd_answer_now_and_then_stops_nothing(scripted, model) -> None:
    odd = chat() | {"choices": []}
    scripted(*[chat(), odd, chat()] * 10)
    found = model(concurrency=1).generate(asking(*map(str, range(20))))
    assert {generation.status for generation in found} == {Status.OK}
    scripted(chat(), odd, odd, chat(), odd, odd, chat(), odd, odd, chat())
    statuses = [generation.status for generation in model(concurrency=1).generate(asking(*"abcdefg"))]
    assert statuses == [Status.OK, Status.BAD_RESPONSE] * 3 + [Status.OK]


@pytest.mark.promise(125)
def test_what_was_answered_before_a_server_changed_is_not_paid_again(scripted, model) -> None:
    scripted(*[chat()] * 4, chat() | {"choices": []})
    texts = [str(at) for at in range(10)]
    with pytest.raises(ModelUnavailable, match="failed alike"):
        model(concurrency=1, cache=True).generate(asking(*texts))
    scripted.seen.clear()
    scripted(chat())
    found = model(concurrency=1, cache=True).generate(asking(*texts))
    assert [generation.requests for generation in found] == [0] * 4 + [1] * 6


@pytest.mark.promise(23)
def test_half_a_character_is_not_sent(scripted, model) -> None:
    scripted(chat())
    found = model().generate(asking("fine", "a\ud800b"))
    assert [generation.status for generation in found] == [Status.OK, Status.ERROR]
    assert "U+D800" in found[1].text
    assert len(scripted.seen) == 1


@pytest.mark.promise(38)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_redirect_is_an_error(scripted, model, tmp_path, provider: str, status: int) -> None:
    (tmp_path / "key").write_text(KEY)
    with FakeServer() as other:
        scripted((status, "", {"location": f"{other.url}/v1/messages"}))
        with pytest.raises(ModelUnavailable, match="follow no redirects"):
            model(provider, key_file=tmp_path / "key").generate([ASK])
        assert not other.requests
    assert scripted.seen[0][1]["authorization"] == f"Bearer {KEY}"


@pytest.mark.promise(20)
def test_two_models_never_share_an_answer(scripted, model) -> None:
    scripted(lambda seen: chat(f"by {seen[2]['model']} at {seen[2].get('temperature')}"))
    kinds = [{"name": "a"}, {"name": "b"}, {"name": "a", "revision": "2"}, {"name": "a", "temperature": 1.0}]
    for n, options in enumerate(kinds, start=1):
        (found,) = model(**options, cache=True).generate([ASK])
        (again,) = model(**options, cache=True).generate([ASK])
        assert (again.text, again.requests) == (found.text, 0)
        assert len(scripted.seen) == n
    assert found.text == "by a at 1.0"


@pytest.mark.promise(20)
def test_two_servers_never_share_an_answer(scripted, model) -> None:
    scripted(chat())
    model(cache=True).generate([ASK])
    model(cache=True, base_url=scripted.url.replace("localhost", "127.0.0.1") + "/other/v1").generate([ASK])
    assert len(scripted.seen) == 2


@pytest.mark.promise(21)
def test_without_the_cache_everything_is_asked_again(scripted, model) -> None:
    scripted(chat())
    for cache, expected in ((True, 1), (True, 1), (False, 2), (False, 3)):
        model(cache=cache).generate([ASK])
        assert len(scripted.seen) == expected


@pytest.mark.promise(14)
def test_a_killed_run_does_not_pay_twice(scripted, model) -> None:
    scripted(chat(), chat("no", "content_filter"), chat("po", "length"), chat())
    ledger = DictLedger()
    whole = model(concurrency=1, input_price=1, output_price=1)
    whole.attend(Context(ledger=ledger))
    first = whole.generate(asking("a", "b", "c"))
    assert [g.status for g in whole.generate(asking("a", "b", "c"))] == [g.status for g in first]
    assert whole.generate(asking("a"))[0].requests == 0, "counted once in one process"
    assert len(scripted.seen) == 3

    resumed = model(concurrency=1, input_price=1, output_price=1)
    resumed.attend(Context(ledger=ledger))
    assert resumed.generate(asking("a", "b", "c")) == first
    assert len(scripted.seen) == 3


@pytest.mark.promise(14)
def test_failures_are_asked_again_by_a_resumed_run(scripted, model) -> None:
    scripted(error(400), chat())
    ledger = DictLedger()
    for expected in (Status.ERROR, Status.OK):
        asked = model()
        asked.attend(Context(ledger=ledger))
        assert asked.generate([ASK])[0].status is expected


@pytest.mark.promise(41)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_no_more_requests_than_allowed(scripted, model, concurrency: int) -> None:
    scripted(error(500), chat())
    for budgets in ({"max_requests": 5}, {}):
        scripted.seen.clear()
        ledger = DictLedger()
        asked = model(concurrency=concurrency, **budgets)
        asked.attend(Context(ledger=ledger, budget=Budget() if budgets else Budget(max_requests=5)))
        with pytest.raises(BudgetReached, match="--max-requests 5") as caught:
            asked.generate(asking(*map(str, range(20))))
        assert (caught.value.exit_code, len(scripted.seen)) == (6, 5)
        assert len(ledger) >= 4, "what was answered is noted"


@pytest.mark.promise(41)
def test_no_more_money_than_allowed(scripted, model) -> None:
    scripted(chat())
    asked = model(input_price=1000.0, output_price=1000.0)
    ctx = Context(budget=Budget(max_usd=0.2))
    asked.attend(ctx)
    with pytest.raises(BudgetReached, match=r"--max-cost 0\.2 USD"):
        asked.generate(asking(*map(str, range(100))))
    spent = 0.010 * len(scripted.seen)
    assert 0 < spent <= 0.2
    assert ctx.budget.spent.usd == pytest.approx(spent)


@pytest.mark.promise(41)
def test_an_unknown_price_keeps_no_limit(model) -> None:
    for asked, ctx in ((model(), Context(budget=Budget(max_usd=1.0))), (model(max_cost=1.0), Context())):
        with pytest.raises(UsageError, match="Use --max-requests"):
            asked.attend(ctx)


@pytest.mark.promise(1)
def test_requests_go_out_together_and_the_first_one_alone(model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is answered before six wait, but for the first one: with fewer at a time this would never end."""
    waiting, most, gathered = 0, [], asyncio.Barrier(6)

    async def post(transport: Transport, path: str, body: Any) -> Reply:
        nonlocal waiting
        waiting += 1
        most.append(waiting)
        if len(most) > 1:
            await gathered.wait()
        waiting -= 1
        return Reply(200, json.dumps(chat()).encode(), {})

    monkeypatch.setattr(Transport, "post", post)
    asked = model(concurrency=6)
    assert len(asked.generate(asking(*map(str, range(31))))) == 31
    assert (most[:2], max(most)) == ([1, 1], 6)
    assert [generation.text for generation in asked.generate([])] == []


def test_answers_keep_their_order(scripted, model) -> None:
    scripted(lambda seen: chat(seen[2]["messages"][-1]["content"]))
    texts = [f"text {at}" for at in range(40)]
    assert [found.text for found in model().generate(asking(*texts))] == texts


def test_several_threads_share_a_model(scripted, model) -> None:
    scripted(lambda seen: chat(seen[2]["messages"][-1]["content"]))
    asked = model(concurrency=4)
    with ThreadPoolExecutor(8) as pool:
        batches = [[f"{at}-{k}" for k in range(5)] for at in range(8)]
        found = list(pool.map(lambda texts: [g.text for g in asked.generate(asking(*texts))], batches))
    assert found == batches


def test_it_works_where_a_loop_is_running(scripted, model) -> None:
    scripted(chat())

    async def notebook() -> str:
        return model().generate([ASK])[0].text

    assert asyncio.run(notebook()) == "positive"


@pytest.mark.promise(15)
def test_waiting_is_given_up_when_told() -> None:
    with FakeServer(latency_s=1e6) as server:
        asked = OpenAIModel("m", base_url=server.openai_url, cache=False)

        def abandon_once_asked() -> None:
            while not server.requests:
                time.sleep(0.01)
            asked.abandon()

        threading.Thread(target=abandon_once_asked, daemon=True).start()
        with pytest.raises(CancelledError):
            asked.generate([ASK])
