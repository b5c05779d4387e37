"""The prompt builder: a template, an instruction and demonstrations, put together for a query."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from evals.types import Query, TaskInfo
from icl.formatters import Rendered, chat, completion
from icl.models.base import Prompt
from icl.template import Template

#: Everything that some program or model takes for the end of a line.
_LINE_ENDS = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_NO_TASK = TaskInfo("prompt", "en", "classification")


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

    def instruction(self, words: str) -> PromptBuilder:
        """With this instruction instead of the task's."""
        return replace(self, task=replace(self.task, instruction=words))

    def example(self, text: str, label: str, **fields: Any) -> PromptBuilder:
        """With one more demonstration, after those already there. `fields` are those that the task declares."""
        return replace(self, demonstrations=(*self.demonstrations, Demonstration(Query("", text, fields), label)))

    def showing(self, demonstrations: Iterable[Demonstration]) -> PromptBuilder:
        """With these demonstrations, in this order, instead of those already there."""
        return replace(self, demonstrations=tuple(demonstrations))

    def build(self, query: str | Query) -> Prompt:
        """The prompt as plain text, ending where the label begins.

        Line ends inside of texts become spaces: a text of several lines could pass for demonstrations.
        """
        return completion(self.render_folded(query))

    def messages(self, query: str | Query, system: str | None = None) -> Prompt:
        """The prompt as chat turns, ending with a user turn.

        Args:
            query: the text that is asked.
            system: None makes the instruction the system message. Any other value is the system message itself ("" for
                none), and the instruction opens the first user turn.
        """
        return chat(self.render(query), system)

    def continuation(self, label: str) -> str:
        """What a completion model writes to give this label; stripped, it is what a chat model answers."""
        return self._template.render("output", {**self._words, "label": label})

    def render_folded(self, query: str | Query) -> Rendered:
        """The blocks of plain text, in which every text is one line."""
        return self._folded.render(_folded(Query("", query) if isinstance(query, str) else query))

    def render(self, query: str | Query) -> Rendered:
        """The blocks with texts as they are, as the turns of a chat hold them."""
        query = Query("", query) if isinstance(query, str) else query
        return Rendered(self._instruction, self._shown, self._input(query), self.separator)

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
