"""From rendered blocks to a prompt: plain text that a model continues, or the turns of a chat."""

from __future__ import annotations

import re
from dataclasses import dataclass

from icl.models.base import Message, Prompt


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt's blocks, rendered.

    Attributes:
        instruction: may be empty.
        demonstrations: (input, output) of every demonstration, in prompt order.
        query: the input that is asked.
        separator: stands between instruction, demonstrations and query of a completion prompt.
    """

    instruction: str
    demonstrations: tuple[tuple[str, str], ...]
    query: str
    separator: str


#: What makes a model complete a line: it ends in a colon, or holds no words at all (`->`, `=>`).
_COMPLETED = re.compile(r"[^\n]*[:：]\s*|[\W_]*")


def completion(blocks: Rendered) -> Prompt:
    """Text that ends where the label begins."""
    shown = [given + answer for given, answer in blocks.demonstrations]
    head = [blocks.instruction] if blocks.instruction else []
    return Prompt(text=blocks.separator.join([*head, *shown, blocks.query]))


def chat(blocks: Rendered, system: str | None = None) -> Prompt:
    """Turns: system, then user and assistant for each demonstration, and a last user turn.

    Args:
        blocks: the rendered blocks.
        system: the system message. None: the instruction is the system message. Otherwise the instruction opens the
            first user turn; "" stands for no system message (models without that role).
    """
    if system is None:
        system, opening = blocks.instruction, ""
    else:
        opening = blocks.instruction + blocks.separator if blocks.instruction else ""
    turns = [Message("system", system)] if system else []
    for given, answer in blocks.demonstrations:
        turns += [Message("user", given), Message("assistant", answer.strip())]
    turns.append(Message("user", blocks.query))
    first = next(at for at, turn in enumerate(turns) if turn.role == "user")
    turns[first] = Message("user", opening + turns[first].content)
    return Prompt(messages=tuple(turns))


def without_tail(content: str, tail: str) -> str:
    """Rendered input without what asks for its completion.

    Args:
        content: rendered.
        tail: what the template writes behind the last text. Its last line is left out where it only leads to the
            answer; a question that stands there stays.

    >>> without_tail("Text: dull\\nLabel:", "\\nLabel:")
    'Text: dull'
    """
    last = tail.rsplit("\n", 1)[-1]
    if not last or not content.endswith(last) or not _COMPLETED.fullmatch(last):
        return content
    return content.removesuffix(last).rstrip()
