"""Prompts from a format string: what goes in comes out, and what would be lost is refused."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

import icl.format_strings
import icl.formatters
from evals.types import Query, TaskInfo
from fewshot.core.errors import TemplateError, UsageError
from icl import KNN, Pool, PromptBuilder

PAIRS = [("sea otter", "loutre de mer"), ("mint", "menthe")]
FRENCH = "Translate English to French:"

FORMATS: dict[str, tuple[str, str]] = {
    "one line": ("{input} => {output}", "sea otter => loutre de mer\nmint => menthe\ncheese =>"),
    "named lines": (
        "English: {input}\nFrench: {output}",
        "English: sea otter\nFrench: loutre de mer\n\nEnglish: mint\nFrench: menthe\n\nEnglish: cheese\nFrench:",
    ),
    "other names": ("{text}\t{label}", "sea otter\tloutre de mer\nmint\tmenthe\ncheese"),
    "more behind the output": (
        "<{input}> is <{output}>;",
        "<sea otter> is <loutre de mer>;\n<mint> is <menthe>;\n<cheese> is <",
    ),
    "braces and quotes": (
        '{{"en": "{input}", "fr": "{output}"}}',
        '{"en": "sea otter", "fr": "loutre de mer"}\n{"en": "mint", "fr": "menthe"}\n{"en": "cheese", "fr": "',
    ),
    "jinja that is none": (
        "{{{{7*7}}}} {{%x%}} \\n {input} → {output}",
        "{{7*7}} {%x%} \\n sea otter → loutre de mer\n{{7*7}} {%x%} \\n mint → menthe\n{{7*7}} {%x%} \\n cheese →",
    ),
}


@pytest.mark.promise(127)
@pytest.mark.parametrize(("format", "shown"), FORMATS.values(), ids=FORMATS)
def test_a_format_is_how_one_example_looks(format: str, shown: str) -> None:
    assert PromptBuilder.from_format(format).examples(PAIRS).build("cheese").text == shown
    told = PromptBuilder.from_format(format, instruction=FRENCH, separator="\n---\n").example(*PAIRS[0])
    assert told.build("cheese").text.startswith(f"{FRENCH}\n---\n")


@pytest.mark.parametrize(
    "row",
    [
        ("mint", "menthe"),
        ["mint", "menthe"],
        {"input": "mint", "output": "menthe"},
        {"text": "mint", "label": "menthe"},
        {"input": "mint", "label": "menthe"},
    ],
    ids=str,
)
def test_examples_come_as_users_have_them(row: Any) -> None:
    builder = PromptBuilder.from_format("{input} => {output}")
    assert builder.examples([row]) == builder.example(row) == builder.example("mint", "menthe")
    assert builder.build({"input": "cheese"}) == builder.build("cheese") == builder.build(Query("", "cheese"))


def test_what_a_selector_chose_is_shown() -> None:
    pool = Pool(
        [{"text": "mint", "label": "menthe", "source": "a book"}, {"text": "sea otter", "label": "loutre de mer"}]
    )
    [picks] = KNN(encoder="lexical").select(["sea otters"], pool, 1)
    builder = PromptBuilder.from_format("{input} => {output}")
    assert builder.examples(picks).build("cheese").text == "sea otter => loutre de mer\ncheese =>"
    assert builder.examples(pool.examples[:1]).build("cheese").text == "mint => menthe\ncheese =>"


def test_other_names_are_fields_of_the_examples() -> None:
    builder = PromptBuilder.from_format("{premise} / {input} -> {output}")
    builder = builder.example({"premise": "It rains", "input": "It is wet", "output": "yes"})
    builder = builder.example("It is dry", "no", premise="It pours")
    assert builder.build({"premise": "Sun", "input": "Warm"}).text.endswith("It pours / It is dry -> no\nSun / Warm ->")
    with pytest.raises(TemplateError, match="'premise' is undefined"):
        builder.build("Warm")


WRONG: dict[str, tuple[str, str]] = {
    "no output": ("{input} =>", "does not show the output"),
    "no input": ("=> {output}", "does not show the input"),
    "nothing": ("", "does not show the input"),
    "the output first": ("{output} <= {input}", "stands behind the output"),
    "without names": ("{} => {}", "not the name of a value"),
    "numbered": ("{0} => {1}", "not the name of a value"),
    "formatted": ("{input:>10} => {output}", "not the name of a value"),
    "converted": ("{input!r} => {output}", "not the name of a value"),
    "an attribute": ("{input.__class__} => {output}", "not the name of a value"),
    "an open brace": ("{input => {output}", "not the name of a value|is no format"),
    "an instruction in it": ("{instruction}: {input} => {output}", "instruction=..."),
}


@pytest.mark.promise(127)
@pytest.mark.parametrize(("format", "message"), WRONG.values(), ids=WRONG)
def test_a_format_that_says_less_or_more_is_refused(format: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as refused:
        PromptBuilder.from_format(format)
    assert repr(format) in str(refused.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ab", "write both|give both"),
        (("a", "b", "c"), "no example"),
        (("a", 1), "no example"),
        ({"input": "a"}, "'output' and 'label'"),
        ({"input": "a", "text": "a", "output": "b"}, "exactly one of 'input' and 'text'"),
        ({"input": "a", "output": None}, "'output' is not text"),
        ({"input": "a", "output": "b", "hint": "c"}, "no field of the task"),
        (None, "no example"),
    ],
    ids=str,
)
def test_what_is_no_example_is_refused(row: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PromptBuilder.from_format("{input} => {output}").example(row)


@pytest.mark.promise(127)
@pytest.mark.parametrize("source", ["minimal", "own"])
def test_an_instruction_that_is_not_printed_is_refused(source: str, tmp_path: Any) -> None:
    path = tmp_path / "own.j2"
    path.write_text("{% block input %}{{ text }}{% endblock %}{% block output %} {{ label }}{% endblock %}")
    with pytest.raises(TemplateError, match="prints no instruction, so 'Judge' would be dropped"):
        PromptBuilder("minimal" if source == "minimal" else path).instruction("Judge")


@pytest.mark.parametrize("template", ["classify", "named", "labels-listed"])
def test_an_instruction_that_is_printed_is_taken(template: str) -> None:
    assert "Judge." in PromptBuilder(template, labels=("a", "b")).instruction("Judge.").build("q").text


CHATS: dict[str, tuple[Any, str]] = {
    "an arrow": (PromptBuilder.from_format("{input} => {output}"), "q"),
    "a name on the same line": (PromptBuilder.from_format("{input} French: {output}"), "q"),
    "a name on its own line": (PromptBuilder("named"), "Text: q"),
    "a Korean name": (PromptBuilder.from_format("리뷰: {input}\n감정: {output}"), "리뷰: q"),
    "the default template": (PromptBuilder("classify"), "q"),
    "a question stays": (PromptBuilder.from_format("{input}\nIs it good?\nAnswer: {output}"), "q\nIs it good?"),
    "words stay": (PromptBuilder.from_format("{input} in French is {output}"), "q in French is"),
    "nothing behind the text": (PromptBuilder.from_format("{input}\n{output}"), "q"),
}


@pytest.mark.promise(128)
@pytest.mark.parametrize(("builder", "said"), CHATS.values(), ids=CHATS)
def test_chat_turns_have_no_completion_tails(builder: PromptBuilder, said: str) -> None:
    shown = builder.example("a =>", "A").messages("q")
    assert shown == [
        {"role": "user", "content": said.replace("q", "a =>", 1)},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": said},
    ]


@pytest.mark.promise(128)
def test_both_vendors_forms() -> None:
    builder = PromptBuilder.from_format("{input} => {output}", instruction=FRENCH).examples(PAIRS[:1])
    turns = [
        {"role": "user", "content": "sea otter"},
        {"role": "assistant", "content": "loutre de mer"},
        {"role": "user", "content": "cheese"},
    ]
    assert builder.messages("cheese") == [{"role": "system", "content": FRENCH}, *turns]
    assert builder.anthropic("cheese") == {"system": FRENCH, "messages": turns}
    assert builder.messages("cheese", system="")[0]["content"] == f"{FRENCH}\nsea otter"
    assert builder.instruction("").anthropic("cheese") == {"messages": turns}


def test_fields_of_a_task_are_shown_whole() -> None:
    builder = PromptBuilder("pair", TaskInfo("nli", "en", "classification", fields=("text_pair",)))
    (turn,) = builder.messages({"text": "It rains", "text_pair": "It is wet"})
    assert turn["content"] == "Text 1: It rains\nText 2: It is wet"


@pytest.mark.parametrize("module", [icl.format_strings, icl.formatters])
def test_the_docstrings_run(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
