"""Entities written into their sentence: `이순신[PER] 장군이 한산도[LOC]에서`.

A tag closes the word before it, back to white space, an opening bracket or quote, or another tag. Where an entity
begins elsewhere, braces say so: `{서울 시립 대학교}[ORG]`, `제{3}[NUM]회`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

_TAG = re.compile(r"\[([^\[\]{}]+)\]")
_OPENING = frozenset("([{<\"'“‘«「『《〈【（")


class Entity(NamedTuple):
    """A type, the index of the first character, and the index after the last one."""

    type: str
    start: int
    end: int


class WrongBrackets(ValueError):
    """Brackets that mean nothing: the message says which and where."""


class OtherText(WrongBrackets):
    """The brackets are right, but stand in another text than they should."""


def written(text: str, entities: Sequence[Entity]) -> str:
    """The text with its entities in brackets.

    >>> written("이순신 장군이 한산도에서", [Entity("PER", 0, 3), Entity("LOC", 8, 11)])
    '이순신[PER] 장군이 한산도[LOC]에서'

    Args:
        entities: in the order of the text; none overlaps another.
    """
    pieces, done = [], 0
    for entity in entities:
        words = text[entity.start : entity.end]
        short = _word_start(text, entity.end, done) == entity.start
        pieces += [text[done : entity.start], words if short else f"{{{words}}}", f"[{entity.type}]"]
        done = entity.end
    return "".join((*pieces, text[done:]))


def read(sentence: str) -> tuple[str, list[Entity]]:
    """The text and the entities of a sentence in which every bracket and brace marks one.

    Raises:
        WrongBrackets: a tag or brace that does not close, nothing before a tag, one entity within another.
    """
    text, entities, opened, at = "", list[Entity](), None, 0
    while at < len(sentence):
        char = sentence[at]
        if char == "{":
            if opened is not None:
                raise WrongBrackets(f"entities overlap: a brace opens within another one at {_near(sentence, at)}")
            opened = len(text)
        elif char in "[]}":
            tag = _TAG.match(sentence, at + (char == "}"))
            if char == "]" or (tag is None and char == "["):
                raise WrongBrackets(f"a tag does not {'open' if char == ']' else 'close'} at {_near(sentence, at)}")
            if tag is None or (char == "}") != (opened is not None):
                raise WrongBrackets(f"a brace without its pair, or without its tag, at {_near(sentence, at)}")
            start = _word_start(text, len(text), entities[-1].end if entities else 0) if opened is None else opened
            if start == len(text):
                raise WrongBrackets(f"nothing to be tagged, or tags that overlap, at {_near(sentence, at)}")
            entities.append(Entity(tag[1].strip(), start, len(text)))
            opened, at = None, tag.end() - 1
        else:
            text += char
        at += 1
    if opened is not None:
        raise WrongBrackets(f"a brace does not close in {_near(sentence, 0)}")
    return text, entities


def read_in(sentence: str, text: str, type_of: Callable[[str], str | None] = str) -> list[Entity]:
    """The entities that a sentence marks in a text, which may itself hold brackets.

    White space may be of another length; everything else has to be the text, character by character.

    Args:
        type_of: gives the type that is meant by the words of a tag, or None for none.

    Raises:
        OtherText: what is written is another text.
        WrongBrackets: as in `read`.
    """
    waiting: list[tuple[int, int, int | None, tuple[Entity, ...]]] = [(0, 0, None, ())]
    seen = set[tuple[int, int, int | None]]()
    while waiting:
        at, to, opened, entities = waiting.pop()
        if (at, to, opened) in seen:
            continue
        seen.add((at, to, opened))
        rest = sentence[at:]
        if not rest.strip() and not text[to:].strip() and opened is None:
            return list(entities)
        if not rest:
            continue
        closes = opened is not None and rest[0] == "}"
        tag = _TAG.match(sentence, at + closes) if closes or (opened is None and rest[0] == "[") else None
        if tag is not None and (type_ := type_of(tag[1].strip())) is not None:
            floor = entities[-1].end if entities else 0
            start = _word_start(text, to, floor) if opened is None else opened
            if start < to:
                waiting.append((tag.end(), to, None, (*entities, Entity(type_, start, to))))
        if rest[0] == "{" and opened is None:
            begin = to if rest[1:2].isspace() else _past_space(text, to)
            waiting.append((at + 1, begin, begin, entities))
        # Last, so that it is tried first: what stands in the text is meant literally.
        if rest[0].isspace():
            waiting.append((_past_space(sentence, at), _past_space(text, to), opened, entities))
        elif to < len(text) and rest[0] == text[to]:
            waiting.append((at + 1, to + 1, opened, entities))
    found, _ = read(sentence)
    raise OtherText(f"another text is written: {found[:60]!r} instead of {text[:60]!r}")


def _word_start(text: str, end: int, floor: int) -> int:
    """Where the word begins that ends at `end`, not before `floor`."""
    at = end
    while at > floor and not text[at - 1].isspace() and text[at - 1] not in _OPENING:
        at -= 1
    return at


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _near(sentence: str, at: int) -> str:
    return repr(sentence[max(0, at - 10) : at + 15])
