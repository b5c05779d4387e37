"""The prompt builder: a template, an instruction and demonstrations, put together for a query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from evals.types import Example, Query, TaskInfo
from fewshot.core.errors import TemplateError, UsageError
from icl.format_strings import template_of
from icl.formatters import Rendered, chat, completion, without_tail
from icl.models.base import Prompt
from icl.template import Template

#: Everything that some program or model takes for the end of a line.
_LINE_ENDS = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_NO_TASK = TaskInfo("prompt", "en", "classification")
#: How the parts of an example are called where it is a mapping.
_INPUTS, _OUTPUTS = ("input", "text"), ("output", "label")
#: Stands for a text where it is asked what a template writes behind one.
_MARK = "\ue000"

#: An example as users have it: (input, output), a mapping of these and of the fields of the task, or a selector's pick.
Row = tuple[str, str] | Mapping[str, Any] | Example | tuple[Example, float | None]
#: A query as users have it: its text, or a mapping of text and fields.
Asked = str | Query | Mapping[str, Any]


@dataclass(frozen=True)
class Demonstration:
    """One worked example of a prompt: a query and its label as it is written in the prompt."""

    query: Query
    label: str


@dataclass(frozen=True)
class PromptBuilder:
    """Builds prompts. Immutable: every call returns a new builder, so a common beginning can be shared.

    >>> builder = PromptBuilder("minimal").example("good film", "positive").example("dull", "negative")
    >>> print(builder.build("loved it").text)
    good film -> positive
    dull -> negative
    loved it ->

    From a format string in one line, as a list of examples is often written:

    >>> french = PromptBuilder.from_format("{input} => {output}", instruction="Translate English to French:")
    >>> french = french.examples([("sea otter", "loutre de mer"), {"input": "mint", "output": "menthe"}])
    >>> print(french.build("cheese").text)
    Translate English to French:
    sea otter => loutre de mer
    mint => menthe
    cheese =>

    Args:
        template: name of a shipped template, path of a `.j2` file, or a `Template`.
        task: the words that the template may use.
        labels: every label as written in the prompt; by default those of the demonstrations.

    Raises:
        TemplateError: the template is not usable, or does not fit the task.
    """

    template: str | Path | Template = "classify"
    task: TaskInfo = _NO_TASK
    labels: tuple[str, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()

    def __post_init__(self) -> None:
        loaded = Template.load(self.template)
        _check(loaded, self.task)
        object.__setattr__(self, "template", loaded)

    @classmethod
    def from_format(cls, format: str, instruction: str = "", *, separator: str | None = None) -> PromptBuilder:
        """A builder whose examples look like a format string.

        Args:
            format: with `{input}` and then `{output}`, and any other fields of the examples.
            instruction: stands above all examples.
            separator: stands between examples; by default a line end, or an empty line where they have several lines.

        Raises:
            TemplateError: the format shows no input or no output, or asks for more than values.
        """
        template, fields = template_of(format, separator)
        return cls(template, replace(_NO_TASK, kind="generation", fields=fields, instruction=instruction))

    def instruction(self, words: str) -> PromptBuilder:
        """With this instruction instead of the task's.

        Raises:
            TemplateError: the template does not print instructions, so it would be dropped.
        """
        if words and not self._template.prints_instruction(self.task):
            raise TemplateError(
                f"{self._template.name}: this template prints no instruction, so {words!r} would be dropped. Take one "
                "that does (classify, for instance), or write {{ task.instruction }} into its block 'instruction'"
            )
        return replace(self, task=replace(self.task, instruction=words))

    def example(self, text: str | Row, label: str | None = None, **fields: Any) -> PromptBuilder:
        """With one more demonstration, after those already there.

        Args:
            text: the input; or the whole example, as an (input, output) pair or a mapping.
            label: the output.
            fields: those that the task declares.
        """
        if label is not None and isinstance(text, str):
            text = {**fields, "text": text, "label": label}
        elif label is not None or fields or isinstance(text, str):
            raise UsageError("an example is an input with its output: give both, one pair, or one mapping of both")
        return self.examples([text])

    def examples(self, rows: Iterable[Row]) -> PromptBuilder:
        """With more demonstrations, after those already there.

        Args:
            rows: (input, output) pairs, mappings of `input` (or `text`), `output` (or `label`) and the fields that
                the task declares, or what a selector chose.

        Raises:
            UsageError: a row is something else, or lacks something.
        """
        return replace(self, demonstrations=(*self.demonstrations, *map(self._demonstration, rows)))

    def showing(self, demonstrations: Iterable[Demonstration]) -> PromptBuilder:
        """With these demonstrations, in this order, instead of those already there."""
        return replace(self, demonstrations=tuple(demonstrations))

    def build(self, query: Asked) -> Prompt:
        """The prompt as plain text, ending where the label begins.

        Line ends inside of texts become spaces: a text of several lines could pass for demonstrations.
        """
        return completion(self.render_folded(query))

    def messages(self, query: Asked, system: str | None = None) -> list[dict[str, str]]:
        """The prompt as plain dicts, in the form that OpenAI's API and many others take as `messages`.

        What the template writes behind a text to make a model complete it (`->`, `Label:`) is left out: in a chat, the
        turn of the assistant begins there by itself.

        Args:
            query, system: as in `chat`.
        """
        blocks = self.render(query)
        shown = tuple((without_tail(given, self._tail), answer) for given, answer in blocks.demonstrations)
        blocks = replace(blocks, demonstrations=shown, query=without_tail(blocks.query, self._tail))
        turns = chat(blocks, system).messages
        return [{"role": turn.role, "content": turn.content} for turn in turns]

    def anthropic(self, query: Asked) -> dict[str, Any]:
        """`system` (where there is an instruction) and `messages`, as Anthropic's API takes them beside the model."""
        messages = self.messages(query)
        if messages[0]["role"] != "system":
            return {"messages": messages}
        return {"system": messages[0]["content"], "messages": messages[1:]}

    def chat(self, query: Asked, system: str | None = None) -> Prompt:
        """The prompt as chat turns for a model of this package, ending with a user turn.

        Args:
            query: the text that is asked.
            system: None makes the instruction the system message. Any other value is the system message itself ("" for
                none), and the instruction opens the first user turn.
        """
        return chat(self.render(query), system)

    def continuation(self, label: str) -> str:
        """What a completion model writes to give this label; stripped, it is what a chat model answers."""
        return self._template.render("output", {**self._words, "label": label})

    def render_folded(self, query: Asked) -> Rendered:
        """The blocks of plain text, in which every text is one line."""
        return self._folded.render(_folded(self._query(query)))

    def render(self, query: Asked) -> Rendered:
        """The blocks with texts as they are, as the turns of a chat hold them."""
        return Rendered(self._instruction, self._shown, self._input(self._query(query)), self.separator)

    @cached_property
    def _folded(self) -> PromptBuilder:
        shown = (replace(one, query=_folded(one.query)) for one in self.demonstrations)
        return replace(self, demonstrations=tuple(shown))

    @cached_property
    def separator(self) -> str:
        """What stands between demonstrations."""
        return self._template.render("separator", {})

    @property
    def _template(self) -> Template:
        assert isinstance(self.template, Template), "loaded on construction"
        return self.template

    @cached_property
    def _words(self) -> dict[str, Any]:
        named = self.labels or tuple(dict.fromkeys(example.label for example in self.demonstrations))
        return {"task": self.task, "labels": named}

    @cached_property
    def _instruction(self) -> str:
        return self._template.render("instruction", self._words).strip()

    @cached_property
    def _shown(self) -> tuple[tuple[str, str], ...]:
        return tuple((self._input(shown.query), self.continuation(shown.label)) for shown in self.demonstrations)

    def _input(self, query: Query) -> str:
        return self._template.render("input", {**query.fields, **self._words, "text": query.text})

    @cached_property
    def _tail(self) -> str:
        """What the template writes behind the last text of an input."""
        _, found, tail = self._input(Query("", _MARK, dict.fromkeys(self.task.fields, _MARK))).rpartition(_MARK)
        return tail if found else ""

    def _demonstration(self, row: Row) -> Demonstration:
        match row:
            case Example() as example if isinstance(example.label, str):
                return Demonstration(Query(example.id, example.text, example.fields), example.label)
            case (Example() as example, _):
                return self._demonstration(example)
            case (str() as given, str() as output):
                return Demonstration(self._query(given), output)
            case Mapping():
                values = dict(row)
                output = _taken(values, _OUTPUTS, row)
                return Demonstration(self._query(values), output)
        raise UsageError(f"{row!r} is no example; write (input, output), or a dict of input and output")

    def _query(self, asked: Asked) -> Query:
        if isinstance(asked, Query):
            return asked
        if not isinstance(asked, (str, Mapping)):
            raise UsageError(f"{asked!r} is no query; write its text, or a dict of input and fields")
        values = {"text": asked} if isinstance(asked, str) else dict(asked)
        text = _taken(values, _INPUTS, asked)
        for name in values:
            if name not in self.task.fields:
                shown = ", ".join(self.task.fields) or "none"
                raise UsageError(f"{asked!r} has {name!r}, which is no field of the task; its fields: {shown}")
        return Query("", text, values)


def _taken(values: dict[str, Any], names: tuple[str, ...], row: Any) -> str:
    """Take the one value of these names out of a row."""
    given = [name for name in names if name in values]
    if len(given) != 1:
        raise UsageError(f"{row!r} needs exactly one of {' and '.join(map(repr, names))}")
    value = values.pop(given[0])
    if not isinstance(value, str):
        raise UsageError(f"{row!r}: {given[0]!r} is not text; write it as it stands in the prompt, in quotes")
    return value


def _folded(query: Query) -> Query:
    """The query with its text and its fields on one line each."""
    fields = {name: on_one_line(value) for name, value in query.fields.items()}
    return replace(query, text=on_one_line(query.text), fields=fields)


def on_one_line(value: Any) -> Any:
    """A text with blanks for its line ends; anything else as it is."""
    return _LINE_ENDS.sub(" ", value) if isinstance(value, str) else value


@lru_cache(maxsize=64)
def _check(template: Template, task: TaskInfo) -> None:
    """Check a pair once, not once per demonstration."""
    template.check(task)
