"""Documents as flat figures, the only form that every tracker takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: What tells the entries of a list apart, where there are such keys: learners and pairs of learners, per shot.
_IDENTITY = ("name", "a", "b", "shot")


def numbers(document: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a JSON-ready document, by the path to them: `accuracy/mean`, `learners/protonet/5/accuracy/mean`.

    Lists of numbers (intervals, confusion matrices) are left out: as figures they would bury the rest.
    """
    return dict(_found(document, ()))


def _found(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _found(item, (*path, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for at, item in enumerate(value):
            if isinstance(item, Mapping):
                yield from _found(item, (*path, *_identity(item, at)))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield "/".join(path), float(value)


def _identity(item: Mapping[str, Any], at: int) -> tuple[str, ...]:
    return tuple(str(item[key]) for key in _IDENTITY if key in item) or (str(at),)
