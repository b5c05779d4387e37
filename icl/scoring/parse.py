"""The strict parser: a text is exactly one of the labels, or it is none."""

from __future__ import annotations

import json
from collections.abc import Sequence

from evals.types import Status
from fewshot.core.hashing import text_key

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "「": "」", "『": "』", "«": "»"}
_TRAILING = ".,;:!?。，、！？…"


def parse_label(text: str, labels: Sequence[str]) -> tuple[int | None, Status]:
    """Which label a text is.

    A text is a label when it equals it after Unicode NFKC, case folding and folding of white space. Where it does not,
    one layer at a time is taken off and the rest is compared: trailing punctuation, a pair of quotes, a JSON string, a
    JSON list or object with a single string. A label inside of a longer text does not count.

    Args:
        text: what a model wrote.
        labels: different from each other after the same normalisation.

    Returns:
        The label's index and OK, or None and UNPARSED (nothing was written) or NOT_IN_LABELS (something else was).
    """
    index = {text_key(label): at for at, label in enumerate(labels)}
    if not text.strip():
        return None, Status.UNPARSED
    # Where punctuation is a label itself, "good!" may be two labels: nothing is taken off.
    wrapping = {*_QUOTES, *_QUOTES.values(), *_TRAILING, *"[]{}"}
    may_unwrap = not any(set(key) <= wrapping for key in index)
    rest: str | None = text.strip()
    while rest:
        if (key := text_key(rest)) in index:
            return index[key], Status.OK
        rest = _unwrap(rest) if may_unwrap else None
    return None, Status.NOT_IN_LABELS


def _unwrap(text: str) -> str | None:
    """The text without its outermost layer, or None where it has none."""
    if text[-1] in _TRAILING:
        return text[:-1].strip()
    if text[0] in '"[{' and (inner := _from_json(text)) is not None:
        return inner.strip()
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return None


def _from_json(text: str) -> str | None:
    """The only string of a JSON document, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, str) else None
