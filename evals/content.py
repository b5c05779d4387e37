"""What an example is: its text and its declared fields. By these, and nothing else, two examples are the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evals.types import Example, Query
from fewshot.core.hashing import canonical_json, text_key

#: What a learner reads of an example: its text or, where one further field is declared, a pair of texts.
Content = str | tuple[str, str]

#: The text again, in pieces: how it is cut makes no other example of it.
TOKENS = "tokens"
#: `text_key` leaves none in a text: white space is folded into blanks.
_BETWEEN = "\x1f"


def whole_text(row: Example | Query) -> str:
    """The text, with the declared fields below it: of a pair, both texts."""
    pieces = _pieces(row)
    return pieces[0] if len(pieces) == 1 else "\n".join(pieces)  # an image stays one


def content(row: Example | Query) -> Content:
    """What a learner reads that can take a pair apart; with more than one field, the texts as one."""
    if not row.fields:
        return row.text
    pieces = _pieces(row)
    return (pieces[0], pieces[1]) if len(pieces) == 2 else whole_text(row)


def joined(content: Content) -> str:
    """The same as one text."""
    return content if isinstance(content, str) else "\n".join(content)


def declared(row: Example, names: Iterable[str]) -> dict[str, Any]:
    """The fields of a row that a task declares, and no others."""
    return {name: row.fields[name] for name in names if name in row.fields}


def content_key(row: Example | Query) -> str:
    """The form under which two examples count as the same; without fields, that of the text.

    Used for duplicates, texts under two labels, and leak guards. A premise that stands with two hypotheses is two
    examples.
    """
    return _BETWEEN.join(map(text_key, _pieces(row)))


def _pieces(row: Example | Query) -> list[str]:
    return [row.text, *(_words(row.fields[name]) for name in sorted(row.fields) if name != TOKENS)]


def _words(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else canonical_json(value)
