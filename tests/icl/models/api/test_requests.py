"""What is asked: the bodies of requests, capabilities, prices."""

from __future__ import annotations

from typing import Any

import pytest

from evals.types import Status
from fewshot.core.errors import FewshotError, UsageError
from icl.models.api.capabilities import Parameters, family_of
from icl.models.api.counting import prompt_tokens, text_tokens
from icl.models.api.dialect import Settings
from icl.models.api.money import Prices, Tokens
from icl.models.api.openai import OpenAI
from icl.models.base import GenerateRequest, Message, Prompt, ScoreRequest

from .conftest import ASK, PROMPT, chat, message, response

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}


def official(model: str, request: GenerateRequest = ASK, **settings: Any) -> dict[str, Any]:
    """The body that the provider itself would get."""
    family = family_of("openai", model)
    body = OpenAI(Settings(model, family, official=True, **settings)).generate(request).body
    return Parameters(family.lacks).fit(body)


def test_the_body_of_a_chat(scripted, model) -> None:
    scripted(chat())
    model().generate([ASK])
    assert scripted.bodies == [
        {
            "model": "m",
            "messages": [{"role": turn.role, "content": turn.content} for turn in PROMPT.messages],
            "max_tokens": 8,
            "temperature": 0.0,
        }
    ]


def test_the_body_of_a_message_marks_what_queries_share(scripted, model) -> None:
    scripted(message())
    model("anthropic").generate([GenerateRequest(PROMPT, 8, stop=("\n", "END"))])
    mark = {"cache_control": {"type": "ephemeral"}}
    assert scripted.bodies == [
        {
            "model": "m",
            "max_tokens": 8,
            "system": [{"type": "text", "text": "Name the sentiment."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "good film"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "positive"} | mark]},
                {"role": "user", "content": [{"type": "text", "text": "a lovely film"}]},
            ],
            "stop_sequences": ["END"],
        }
    ]


def test_queries_with_the_same_demonstrations_share_a_cache_key() -> None:
    other = Prompt(messages=(*PROMPT.messages[:-1], Message("user", "another")))
    fewer = Prompt(messages=PROMPT.messages[1:])
    keys = [official("gpt-4.1", GenerateRequest(prompt))["prompt_cache_key"] for prompt in (PROMPT, other, fewer)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.promise(10)
@pytest.mark.parametrize(
    ("name", "effort", "temperature"),
    [
        ("gpt-4.1-mini", None, True),
        ("gpt-4o", None, True),
        ("gpt-6-luna", "none", True),
        ("gpt-5.1", "none", True),
        ("gpt-5-mini", "minimal", False),
        ("o3-mini", "low", False),
    ],
)
def test_what_models_are_known_to_take(name: str, effort: str | None, temperature: bool) -> None:
    body = official(name, GenerateRequest(PROMPT, stop=("\n",)))
    assert (body.get("reasoning_effort"), "temperature" in body) == (effort, temperature)
    assert "max_completion_tokens" in body and "max_tokens" not in body


@pytest.mark.parametrize(
    ("provider", "options", "answer", "place"),
    [
        ("openai", {}, chat('{"label":"b"}'), ("response_format", "json_schema", "schema")),
        ("openai", {"api": "responses"}, response('{"label":"b"}'), ("text", "format", "schema")),
        ("anthropic", {}, message('{"label":"b"}'), ("output_config", "format", "schema")),
    ],
)
def test_structured_answers_name_the_labels(scripted, model, provider: str, options, answer, place) -> None:
    scripted(answer)
    (found,) = model(provider, **options).generate([GenerateRequest(PROMPT, choices=("a", "b"))])
    sent = scripted.bodies[0]
    for name in place:
        sent = sent[name]
    assert (sent, found.text) == (SCHEMA, '{"label":"b"}')


def test_plain_text_is_one_user_turn(scripted, model) -> None:
    for provider, body in (("openai", chat()), ("anthropic", message())):
        scripted(body)
        (found,) = model(provider).generate([GenerateRequest(Prompt("Review: fine\nSentiment:"))])
        assert found.status is Status.OK
        assert scripted.bodies[-1]["messages"] == [{"role": "user", "content": "Review: fine\nSentiment:"}]


@pytest.mark.promise(42)
def test_hosted_models_are_called_what_they_are(scripted, model) -> None:
    scripted(chat(system_fingerprint="fp_1"))
    asked = model("openai", "m", seed=3)
    asked.generate([ASK])
    assert asked.notes == ("answers by m-1 (system fingerprint fp_1): a hosted model's answers are not reproducible",)
    described = asked.describe()
    assert (described["name"], described["seed"], described["temperature"]) == ("openai:m", 3, 0.0)


def test_what_cannot_be_asked(model) -> None:
    asked = model()
    with pytest.raises(UsageError, match="--method generate"):
        asked.score([ScoreRequest(PROMPT, ("a",))])
    with pytest.raises(UsageError, match="no log-probabilities"):
        model("anthropic").next_token([PROMPT])
    with pytest.raises(UsageError, match="Did you mean 'responses'"):
        model(api="response")
    with pytest.raises(UsageError, match="--concurrency 0"):
        model(concurrency=0)
    with pytest.raises(FewshotError, match="is empty"):
        asked.generate([GenerateRequest(Prompt())])


def test_lengths_are_estimated_on_the_high_side() -> None:
    assert text_tokens("a sentence of eight words, which is short") >= 9
    assert text_tokens("정말 재미있는 영화였어요") >= 10
    assert prompt_tokens(PROMPT) > sum(text_tokens(turn.content) for turn in PROMPT.messages)


@pytest.mark.promise(41)
def test_unknown_prices_are_unknown() -> None:
    tokens = Tokens(input=1000, cached=500, cache_writes=100, output=100)
    assert Prices("openai", "no-such-model").usd(tokens) is None
    assert Prices(None, "gpt-4o").usd(tokens) is None
    assert not Prices(None, "gpt-4o").known
    assert Prices("anthropic", "claude-haiku-4-5").usd(tokens) == pytest.approx(0.001075)
    assert Prices("anthropic", "claude-haiku-4-5", factor=0.5).usd(tokens) == pytest.approx(0.001075 / 2)
    assert Prices(None, "mine", 1.0, 2.0).usd(tokens) == pytest.approx(0.0012)
    with pytest.raises(UsageError, match="given together"):
        Prices(None, "mine", 1.0)


def test_costs_are_foreseen_without_sending(scripted, model) -> None:
    tokens, usd = model(input_price=1.0, output_price=1.0).foresee([ASK, ASK])
    assert tokens == 2 * (prompt_tokens(PROMPT) + 8)
    assert usd == pytest.approx(tokens / 1e6)
    assert model().foresee([ASK])[1] is None
    assert scripted.seen == []
