"""The stand-in for a model reads our prompts in every form, learns from them, and always says the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.types import Query, TaskInfo
from icl.fake.answers import answer
from icl.fake.brain import Reading, Turn, judge, read, turns_of
from icl.fake.tokens import PrefixCache, tokenize
from icl.models.base import Prompt
from icl.prompt import Demonstration, PromptBuilder

SHOWN = (
    ("the film was lovely", "positive"),
    ("a dull and dreadful film", "negative"),
    ("lovely acting", "positive"),
    ("dreadful plot,\nall in all", "negative"),
)
TASK = TaskInfo("toy", "en", "classification", instruction="Is it good? positive, negative", fields=("text_pair",))


def prompt(template: str, chat: bool, shown: tuple = SHOWN, query: str = "dreadful film") -> Prompt:
    builder = PromptBuilder(template, TASK, labels=("positive", "negative"))
    builder = builder.showing(Demonstration(Query("", text, {"text_pair": "x"}), label) for text, label in shown)
    asked = Query("", query, {"text_pair": "x"})
    return builder.chat(asked) if chat else builder.build(asked)


def turns(shown: Prompt) -> tuple[Turn, ...]:
    if not shown.messages:
        return (Turn("user", shown.text),)
    return tuple(Turn(message.role, message.content) for message in shown.messages)


@pytest.mark.parametrize("chat", [False, True], ids=["completion", "chat"])
@pytest.mark.parametrize("template", ["classify", "minimal", "named", "labels-listed", "pair"])
class TestEveryTemplate:
    def test_demonstrations_are_found(self, template: str, chat: bool) -> None:
        found = read(turns(prompt(template, chat)))
        assert [label for _, label in found.demonstrations] == [label for _, label in SHOWN]
        for (text, _), (expected, _) in zip(found.demonstrations, SHOWN, strict=True):
            assert (expected if chat else expected.replace("\n", " ")) in text
        assert "dreadful film" in found.query
        assert next(iter(judge(found))) == "negative"

    def test_without_demonstrations_one_of_the_labels_given(self, template: str, chat: bool) -> None:
        found = read(turns(prompt(template, chat, shown=())))
        assert not found.demonstrations
        assert next(iter(judge(found, ("a", "b")))) in ("a", "b")


def test_without_demonstrations_the_labels_are_those_listed() -> None:
    for chat in (False, True):
        for query in ("x", "y", "z"):
            assert set(judge(read(turns(prompt("labels-listed", chat, (), query))))) == {"positive", "negative"}


def test_without_demonstrations_or_labels_the_answer_is_unknown() -> None:
    assert judge(read((Turn("user", "How do you do?"),))) == {"unknown": 1.0}


def test_hashes_of_queries_spread_over_labels() -> None:
    said = [next(iter(judge(Reading((), str(at)), ("a", "b")))) for at in range(100)]
    assert 30 < said.count("a") < 70


def test_far_better_than_chance_on_easy_data() -> None:
    topics = {
        "weather": "rain snow storm cloud wind sunshine thunder forecast",
        "sport": "goal match league striker referee stadium penalty tournament",
        "food": "soup noodle recipe kitchen pepper dessert chef breakfast",
        "날씨": "비가 눈이 구름이 바람이 천둥이 맑은날 소나기 폭풍이",
    }
    split = {topic: words.split() for topic, words in topics.items()}
    shown = tuple((f"{w[i]} and {w[i + 1]}", topic) for i in range(0, 8, 2) for topic, w in split.items())
    asked = [(f"more {w[i]} or {w[(i + 3) % 8]}", topic) for i in range(8) for topic, w in split.items()]
    said = [next(iter(judge(read(turns(prompt("classify", False, shown, text)))))) for text, _ in asked]
    assert sum(a == b for a, (_, b) in zip(said, asked, strict=True)) / len(asked) > 0.9


def test_equal_whatever_the_hash_seed() -> None:
    code = (
        "import json\nfrom tests.icl.fake.test_brain import *\n"
        "print(json.dumps([judge(read(turns(prompt('named', chat)))) for chat in (False, True)]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]},
        {"system": "S", "messages": [{"role": "user", "content": "Q"}]},
        {"system": [{"type": "text", "text": "S"}], "messages": [{"role": "user", "content": [{"text": "Q"}]}]},
        {"instructions": "S", "input": "Q"},
        {"instructions": "S", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Q"}]}]},
    ],
    ids=["chat", "messages", "blocks", "responses text", "responses parts"],
)
def test_every_endpoints_conversation_reads_the_same(body: dict) -> None:
    assert turns_of(body) == (Turn("system", "S"), Turn("user", "Q"))


def test_demonstrations_may_be_wrapped_in_json() -> None:
    found = read((Turn("user", "a"), Turn("assistant", '{"label": "A"}'), Turn("user", "q")))
    assert found.demonstrations == (("a", "A"),)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"enum": ["x", "긍정"]}, '"긍정"'),
        (
            {"type": "object", "properties": {"why": {"type": "string"}, "l": {"enum": ["긍정"]}}},
            '{"why":"긍정","l":"긍정"}',
        ),
        ({"type": "object", "properties": {"v": {"const": 1}, "l": {"enum": ["긍정"]}}}, '{"v":1,"l":"긍정"}'),
        ({"type": "array", "items": {"enum": ["긍정"]}}, '["긍정"]'),
        ({"type": "object", "properties": {"p": {"type": "number"}, "l": {"enum": ["긍정"]}}}, '{"p":0.0,"l":"긍정"}'),
    ],
    ids=["enum", "string", "const", "array", "number"],
)
def test_structured_answers_fit_their_schema(schema: dict, text: str) -> None:
    body = {"messages": [{"role": "user", "content": "좋다 -> 긍정\n좋아 ->"}]}
    assert answer(body, schema).text == text


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text


@given(st.text(), st.text())
def test_any_prompt_is_answered(prompt: str, system: str) -> None:
    said = judge(read((Turn("system", system), Turn("user", prompt))))
    assert sum(said.values()) == pytest.approx(1)
    json.dumps(said, allow_nan=False)


@given(st.lists(st.text(max_size=60), max_size=6))
def test_no_more_is_cached_than_was_sent(prompts: list[str]) -> None:
    cache = PrefixCache()
    for text in prompts:
        tokens = tokenize(text)
        assert 0 <= cache.admit("m", tokens) <= len(tokens)
        assert cache.admit("m", tokens) == len(tokens)
