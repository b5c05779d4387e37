"""Names of classes: what is refused, and which two are the same."""

from __future__ import annotations

import unicodedata

from fewshot.core.errors import UsageError
from fewshot.core.hashing import text_key

_LONGEST = 500
#: Control characters, half characters, separators of lines and paragraphs.
_REFUSED = ("Cc", "Cs", "Zl", "Zp")


def checked_name(name: str) -> str:
    """The name as it is kept: composed, without white space around it.

    Raises:
        UsageError: it is empty, longer than 500 characters, or cannot be shown on one line.
    """
    kept = unicodedata.normalize("NFC", name).strip()
    if not text_key(kept):
        raise UsageError(f"{name!r} is no name of a class: nothing of it can be seen")
    if len(kept) > _LONGEST:
        raise UsageError(f"{kept[:40]!r}... is no name of a class: it is longer than {_LONGEST} characters")
    if not kept.isprintable() and any(unicodedata.category(char) in _REFUSED for char in kept):
        raise UsageError(
            f"{kept[:80]!r} is no name of a class: it holds a line break, a control character or half a character"
        )
    return kept


def key_of(name: str) -> str:
    """Names with the same key read alike, and are one class."""
    return text_key(checked_name(name))
