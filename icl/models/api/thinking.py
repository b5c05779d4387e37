"""Answers in which a model thinks aloud: `<think>...</think>` is no part of what it answers."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"<think(ing)?>.*?</think(ing)?>", re.DOTALL | re.IGNORECASE)
#: The prompt of some models opens the block itself, and an answer that is cut does not close it.
_UNOPENED = re.compile(r"^.*</think(ing)?>", re.DOTALL | re.IGNORECASE)
_UNCLOSED = re.compile(r"<think(ing)?>.*$", re.DOTALL | re.IGNORECASE)


def thinks_aloud(text: str) -> bool:
    """Whether a text holds thoughts."""
    return bool(_UNOPENED.search(text) or _UNCLOSED.search(text))


def without_thinking(text: str) -> str:
    """The text without its thoughts, and without the white space around what is left of it.

    >>> without_thinking("<think>Lovely, so...</think> positive")
    'positive'
    """
    for pattern in (_BLOCK, _UNOPENED, _UNCLOSED):
        text = pattern.sub("", text)
    return text.strip()
