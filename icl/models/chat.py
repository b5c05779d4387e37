"""Chat templates: messages in, one string out, with the same words on every machine and every day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fewshot.core.errors import UsageError
from icl.models.base import Message

#: Variables that templates read: a date that does not change overnight, no reasoning before the answer to be scored.
_VARIABLES: dict[str, Any] = {"date_string": "01 Jan 2025", "enable_thinking": False}

#: Templates that ask for the date are told the same one. A macro hides the clock that transformers offers them.
_DATE = {"%Y": "2025", "%y": "25", "%m": "01", "%d": "01", "%b": "Jan", "%B": "January", "%a": "Wed", "%A": "Wednesday"}
_REPLACED = "".join(f" | replace('{code}', '{value}')" for code, value in _DATE.items())
_CLOCK = "{% macro strftime_now(format) %}{{ format" + _REPLACED + " }}{% endmacro %}"


@dataclass(frozen=True)
class ChatTemplate:
    """The chat format of one model.

    Attributes:
        source: the Jinja template.
        system_role: whether the format knows system messages. Where it does not, they begin the first user turn.
        trimmed: the roles whose content the template strips of outer white space.
        parts: whether it wants the content of a message as a list of parts, as templates of models that see do.
    """

    tokenizer: Any = field(repr=False)
    source: str = field(repr=False)
    system_role: bool = False
    trimmed: frozenset[str] = frozenset()
    parts: bool = False

    @classmethod
    def of(cls, tokenizer: Any) -> ChatTemplate | None:
        """The template of a tokenizer, or None if it has none."""
        source = tokenizer.chat_template
        if isinstance(source, dict):
            source = source.get("default")
        if not source:
            return None
        template = cls(tokenizer, source)
        probe = [Message("user", " fsu "), Message("assistant", " fsa "), Message("user", " fsu ")]
        in_parts = replace(template, parts=True)
        if not _shows(template._try(probe), probe) and _shows(in_parts._try(probe), probe):
            template = in_parts
        with_system = template._try([Message("system", " fss "), *probe])
        system_role = with_system is not None and "fss" in with_system
        rendered = (with_system if system_role else template._try(probe)) or ""
        words = {"system": "fss", "user": "fsu", "assistant": "fsa"}
        trimmed = {role for role, word in words.items() if word in rendered and f" {word} " not in rendered}
        return replace(template, system_role=system_role, trimmed=frozenset(trimmed))

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation up to the point where the assistant's answer begins.

        Raises:
            UsageError: the template refuses the messages, or leaves out what one of them says.
        """
        messages = self._fit(messages)
        text = self._apply(messages)
        if (swallowed := _swallowed(text, messages)) is not None:
            words = " ".join(swallowed.content.split())
            raise UsageError(
                f"the model's chat template leaves out what the {swallowed.role} says "
                f"({words[:60]!r}{'...' if len(words) > 60 else ''}). Use --format completion"
            )
        return text

    def render_marked(self, messages: Sequence[Message], mark: Callable[[str], str]) -> str:
        """Like `render`, with `mark` applied to what the template wrote and to nothing that the messages hold."""
        messages = self._fit(messages)
        places = [f"\ue002{i}\ue003" for i in range(len(messages))]
        text = self._apply([replace(m, content=place) for m, place in zip(messages, places, strict=True)])
        rendered = []
        for message, place in zip(messages, places, strict=True):
            before, found, text = text.partition(place)
            if not found:
                raise UsageError(
                    f"the model's chat template leaves out or moves a message of the {message.role}. "
                    "Use --format completion"
                )
            content = message.content.strip() if message.role in self.trimmed else message.content
            rendered += [mark(before), content]
        return "".join([*rendered, mark(text)])

    def _fit(self, messages: Sequence[Message]) -> list[Message]:
        """Merge a system message into the first user turn where the format has no system role."""
        if self.system_role or not messages or messages[0].role != "system":
            return list(messages)
        if len(messages) < 2 or messages[1].role != "user":
            raise UsageError("a system message must be followed by a user message")
        merged = Message("user", f"{messages[0].content}\n\n{messages[1].content}")
        return [merged, *messages[2:]]

    def _apply(self, messages: Sequence[Message]) -> str:
        import jinja2

        turns = [{"role": message.role, "content": self._content(message)} for message in messages]
        try:
            return self.tokenizer.apply_chat_template(
                turns,
                chat_template=_CLOCK + self.source,
                tokenize=False,
                add_generation_prompt=True,
                **_VARIABLES,
            )
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
            raise UsageError(f"the model's chat template refuses these messages: {error}") from error

    def _content(self, message: Message) -> str | list[dict[str, str]]:
        return [{"type": "text", "text": message.content}] if self.parts else message.content

    def _try(self, messages: Sequence[Message]) -> str | None:
        try:
            return self._apply(messages)
        except UsageError:
            return None


def _swallowed(text: str, messages: Sequence[Message]) -> Message | None:
    """The first message whose words do not stand in the text behind those of the messages before it."""
    at = 0
    for message in messages:
        words = message.content.strip()
        found = text.find(words, at)
        if found < 0:
            return message
        at = found + len(words)
    return None


def _shows(text: str | None, messages: Sequence[Message]) -> bool:
    return text is not None and _swallowed(text, messages) is None
