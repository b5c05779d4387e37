"""Templates: what is shipped works, what is wrong is named with its line, what is dangerous is impossible."""

from __future__ import annotations

from dataclasses import replace

import pytest

import icl.template
import prompts
from evals.types import Query, TaskInfo
from fewshot.core.errors import TemplateError, UsageError
from icl.prompt import PromptBuilder
from icl.template import Template

TASK = TaskInfo("films", "en", "classification", instruction="Judge.", input_name="Review", output_name="Sentiment")
PAIRS = replace(TASK, name="pairs", fields=("text_pair",))
OUTPUT = "{% block output %} {{ label }}{% endblock %}"


@pytest.mark.parametrize("name", prompts.names())
def test_shipped_templates_fit(name: str) -> None:
    Template.load(name).check(PAIRS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("classify", "Judge.\nfine -> good\nbad ->"),
        ("named", "Judge.\n\nReview: fine\nSentiment: good\n\nReview: bad\nSentiment:"),
        ("minimal", "fine -> good\nbad ->"),
        ("labels-listed", "Judge.\nSentiment: good, poor\n\nReview: fine\nSentiment: good\n\nReview: bad\nSentiment:"),
    ],
)
def test_shipped_templates_read(name: str, expected: str) -> None:
    builder = PromptBuilder(name, TASK, labels=("good", "poor")).example("fine", "good")
    assert builder.build("bad").text == expected
    assert builder.continuation("poor") == " poor"


def test_pair_shows_both_texts() -> None:
    builder = PromptBuilder("pair", PAIRS).example("a", "same", text_pair="A")
    prompt = builder.build(Query("", "b", {"text_pair": "B"}))
    assert prompt.text == "Judge.\n\nReview 1: a\nReview 2: A\nSentiment: same\n\nReview 1: b\nReview 2: B\nSentiment:"


def _input(body: str) -> str:
    return f"{{% block input %}}{body}{{% endblock %}}\n{OUTPUT}"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param(OUTPUT, "my.j2:1: there is no block 'input'", id="no-input"),
        pytest.param("{% block input %}{{ text }}{% endblock %}", "no block 'output'", id="no-output"),
        pytest.param(_input("Review:"), "my.j2:1: block 'input' does not show the text", id="input-without-query"),
        pytest.param(
            "{% block input %}{{ text }}{% endblock %}\n{% block output %}x{% endblock %}",
            "my.j2:2: block 'output' does not show the label",
            id="output-without-label",
        ),
        pytest.param(_input("{{ text }}: "), "my.j2:1: the block 'input' ends in white space", id="trailing-space"),
        pytest.param(_input("{{ text }}\n"), "ends in white space", id="trailing-newline"),
        pytest.param(
            _input("{{ text }}\n{{ title }}"),
            "my.j2:2: block 'input' does not have 'title'. It has labels, task, text; fields",
            id="unknown-variable",
        ),
        pytest.param(_input("{{ text }} {{ label }}"), "does not have 'label'", id="label-in-the-question"),
        pytest.param(_input("{{ text }}\n\n{{ task.nam }}"), "my.j2:3: block 'input':", id="misspelled-attribute"),
        pytest.param(_input("{{ text }") + "\n", "my.j2:1:", id="syntax"),
        pytest.param(_input("{{ text | center(9) }}"), "No filter named 'center'", id="unknown-filter"),
        pytest.param("Hello\n" + _input("{{ text }}"), "my.j2:1: this stands outside of the blocks", id="loose-text"),
        pytest.param(
            _input("{{ text }}") + "{% block foot %}{% endblock %}", "unknown block 'foot'", id="unknown-block"
        ),
        pytest.param(_input("{{ text }}{{ 'a' * 10**8 }}"), "'Mul' is not possible", id="huge-constant"),
        pytest.param(_input("{{ text }}{% for i in range(9) %}{% endfor %}"), "'Call' is not possible", id="call"),
        pytest.param(_input("{{ text.__class__ }}"), "unsafe", id="dunder"),
        pytest.param(_input("{{ text }}{% set x = 1 %}"), "'Assign' is not possible", id="assignment"),
        pytest.param(_input("{{ text }}{% include 'x' %}"), "'Include' is not possible", id="include"),
        pytest.param(
            _input("{{ text }}{% for a in text %}{% for b in text %}{% endfor %}{% endfor %}"),
            "a loop inside of a loop",
            id="nested-loop",
        ),
        pytest.param(_input("{{ text }}" + "x" * 70_000), "at most 65536", id="too-long"),
        pytest.param(_input("{{ text }}{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"), "nested too deeply", id="deep"),
    ],
)
def test_lint(source: str, says: str) -> None:
    with pytest.raises(TemplateError) as error:
        Template("my.j2", source).check(TASK)
    assert says in str(error.value)


def test_a_shipped_template_needs_its_field() -> None:
    with pytest.raises(TemplateError, match="pair:4: block 'input' does not have 'text_pair'"):
        PromptBuilder("pair", TASK)


def test_a_missing_value_is_an_error_with_its_line() -> None:
    builder = PromptBuilder("pair", PAIRS)
    with pytest.raises(TemplateError, match=r"pair:4: .*text_pair"):
        builder.build("no second text")


@pytest.mark.parametrize(
    "body", ["{{ text }}{{ text }}{{ text }}", "{{ [text, text, text] | join(text) }}"], ids=["print", "join"]
)
def test_output_is_bounded(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icl.template, "MAX_RENDERED", 1000)
    with pytest.raises(TemplateError, match="block 'input' renders to more than"):
        Template("my.j2", _input(body)).render("input", {"text": "x" * 500})


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot read the template"), (b"\xff\xfe\x00", "not UTF-8"), (b"{{", "mine.j2:1")],
    ids=["missing", "not-utf8", "syntax"],
)
def test_unusable_files(tmp_path, content: bytes | None, says: str) -> None:
    path = tmp_path / "mine.j2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TemplateError, match=says):
        Template.load(path)


def test_a_file_of_the_user(tmp_path) -> None:
    path = tmp_path / "mine.j2"
    path.write_text("\ufeff" + _input("{{ text }} =>"), encoding="utf-8")
    assert PromptBuilder(path).build("좋아요").text == "좋아요 =>"


def test_unknown_name_suggests() -> None:
    with pytest.raises(UsageError, match="Did you mean 'classify'"):
        Template.load("clasify")


@pytest.mark.promise(30)
@pytest.mark.parametrize(
    "code",
    [
        "{{ 'a' * 10**8 }}",
        "{{ ('a' * 10**4) ~ text }}",
        "{% for x in range(10**9) %}{{ x }}{% endfor %}",
        "{{ text.__class__.__mro__ }}{{ cycler.__init__.__globals__.os.popen('id') }}",
        "{% for a in text %}{% for b in text %}{{ b }}{% endfor %}{% endfor %}",
        "{{ text | center(10**9) }}",
        "{{ text.format(text) }}",
    ],
)
def test_a_template_cannot_run_away(code: str) -> None:
    with pytest.raises(TemplateError):
        Template("t.j2", f"{{% block input %}}{{{{ text }}}}{code}{{% endblock %}}{OUTPUT}")


@pytest.mark.promise(30)
def test_what_a_template_renders_has_a_limit() -> None:
    block = "{% block input %}{% for x in text %}{{ text }}{% endfor %}{% endblock %}"
    with pytest.raises(TemplateError, match="renders to more than"):
        Template("t.j2", block + OUTPUT).render("input", {"text": "x" * 100_000})


@pytest.mark.promise(30)
def test_text_is_never_compiled() -> None:
    text = "{{ 7*7 }}{% for x in y %}{{ cycler.__init__ }}"
    assert Template.load("minimal").render("input", {"text": text, "labels": (), "task": None}).startswith(text)
