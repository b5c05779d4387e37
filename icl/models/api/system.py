"""Requests to servers whose models know no system messages: the instruction begins the first user turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Where a request holds its turns: chat completions and messages, responses.
_TURNS = ("messages", "input")


def has_system(body: Mapping[str, Any]) -> bool:
    """Whether a request holds a system message, among its turns or beside them."""
    return bool(body.get("system")) or any(turn.get("role") == "system" for turn in _turns(body))


def without_system(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request with its system messages in front of its first user turn, as local models are shown them."""
    turns = _turns(body)
    said = [_text(body.get("system") or "")] + [_text(turn["content"]) for turn in turns if turn["role"] == "system"]
    opening = "\n\n".join(words for words in said if words)
    kept = [dict(turn) for turn in turns if turn["role"] != "system"]
    first = next((turn for turn in kept if turn["role"] == "user"), None)
    if first is None:
        kept = [{"role": "user", "content": opening}, *kept]
    else:
        first["content"] = _opened(f"{opening}\n\n", first["content"])
    name = next(name for name in _TURNS if name in body)
    return {key: value for key, value in body.items() if key != "system"} | {name: kept}


def _turns(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return next((body[name] for name in _TURNS if isinstance(body.get(name), list)), ())


def _opened(opening: str, content: Any) -> Any:
    """The content of a turn, behind an opening."""
    if isinstance(content, str):
        return opening + content
    first, *others = content
    return [{**first, "text": opening + first["text"]}, *others]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)
