"""Rows with tagged texts, in the forms that people keep them in, as tokens and tags.

tokens and tags      a list each, or a text each with white space between them
text and tags        the tags of the words of the text, as white space divides it
brackets             `이순신[PER] 장군이 한산도[LOC]에서`, in the column of the tags; its tokens are its characters
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evals.content import TOKENS
from evals.kinds import brackets
from evals.kinds.brackets import Entity
from evals.kinds.tagging import is_tag, spans


def with_tokens(values: Mapping[str, Any], text: str, tags: str) -> dict[str, Any]:
    """A row with its text, its tokens and its tags.

    Args:
        values: of the row. text, tags: names of their columns; the same for a text in brackets alone.

    Raises:
        ValueError: with what is wrong; brackets that do not close, overlap, or stand in another text.
    """
    marked, tokens = values.get(tags), values.get(TOKENS)
    given = values.get(text) if text != tags else None
    if isinstance(marked, str) and tokens is None and _in_brackets(marked, given):
        return {**values, **_from_brackets(marked, given, text, tags)}
    if tokens is None and isinstance(values.get(text), str):
        tokens = values[text]
    if isinstance(tokens, str):
        tokens = tokens.split()
    found = {} if tokens is None else {TOKENS: tokens}
    if text not in values and isinstance(tokens, list):
        found[text] = joined(tokens)
    return {**values, **found}


def joined(tokens: Sequence[str]) -> str:
    """The text of tokens: of words with blanks between them, of pieces that hold the blanks without."""
    return ("" if any(str(token).isspace() for token in tokens) else " ").join(map(str, tokens))


def entities_of(text: str, tokens: Sequence[str], tags: Sequence[str]) -> tuple[str, list[Entity]]:
    """The entities of tagged tokens by their characters in the text, and that text.

    Where the text does not hold the tokens in their order, it is the tokens joined.
    """
    places = places_of(text, tokens)
    if places is None:
        text = joined(tokens)
        places = places_of(text, tokens) or []
    return text, [Entity(kind, places[start][0], places[end - 1][1]) for kind, start, end in spans(tags)]


def tags_of(text: str, tokens: Sequence[str], entities: Sequence[Entity]) -> tuple[str, ...]:
    """One BIO tag per token, from entities by characters: a token that an entity touches belongs to it."""
    places = places_of(text, tokens) or []
    tags = ["O"] * len(tokens)
    for entity in entities:
        begun = False
        for at, (start, end) in enumerate(places):
            if start < entity.end and entity.start < end and tags[at] == "O":
                tags[at] = f"{'I' if begun else 'B'}-{entity.type}"
                begun = True
    return tuple(tags)


def places_of(text: str, tokens: Sequence[str]) -> list[tuple[int, int]] | None:
    """Where the tokens stand in the text, one after the other; None where they do not."""
    places, at = [], 0
    for token in tokens:
        start = text.find(token, at)
        if start < 0 or (not token.isspace() and text[at:start].strip()):
            return None
        at = start + len(token)
        places.append((start, at))
    return places


def _in_brackets(marked: str, text: Any) -> bool:
    """Whether a text is a sentence with brackets, rather than a row of tags; one without entities has none."""
    if all(map(is_tag, marked.split())):
        return False
    return not isinstance(text, str) or "[" in marked or marked.split() == text.split()


def _from_brackets(marked: str, given: Any, text: str, tags: str) -> dict[str, Any]:
    if isinstance(given, str) and given.strip():
        found, entities = given, brackets.read_in(marked, given)
    else:
        found, entities = brackets.read(marked)
    tokens = list(found)
    return {text: found, TOKENS: tokens, tags: list(tags_of(found, tokens, entities))}
