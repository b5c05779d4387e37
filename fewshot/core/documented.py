"""What the docstrings of a part say of its arguments."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

_SECTION = re.compile(r"^(Args|Attributes):\n((?:[ ]+.*\n|\n)*)", re.MULTILINE)
#: `name: text`, `name, name: text` and `name: text. name: text` at the indentation of a section.
_NAMES = re.compile(r"^    ([a-z_][\w, ]*?): (.*)")
_INLINE = re.compile(r"(?<=[.;]) ([a-z_]\w*): ")


class Argument(NamedTuple):
    """An argument of a part: its name in a spec, its default (None where it has none), and what it is."""

    name: str
    default: Any
    about: str


def about(part: Any) -> str:
    """What the file of a part says of it: its paper, what it does, its traps; else what the part says of itself."""
    module = sys.modules.get(getattr(part, "__module__", ""))
    return inspect.cleandoc(getattr(module, "__doc__", None) or part.__doc__ or "")


def arguments(part: Any) -> list[Argument]:
    """The arguments that a spec of a part can set, in the order in which the part takes them.

    A part may name classes whose docstrings tell of its arguments, `documented_by`.
    """
    told: dict[str, str] = {}
    owners = inspect.getmro(part) if inspect.isclass(part) else (part,)
    for owner in (*getattr(part, "documented_by", ()), *reversed(owners)):
        told |= dict(_described(inspect.cleandoc(owner.__doc__ or "")))
    return [
        Argument(name.removesuffix("_"), None if each.default is each.empty else each.default, told.get(name, ""))
        for name, each in inspect.signature(part).parameters.items()
        if each.kind is not each.VAR_KEYWORD and (each.default is each.empty or not callable(each.default))
    ]


def _described(text: str) -> Iterator[tuple[str, str]]:
    """Names and what is said of them in the sections of a docstring. Several names may share a line."""
    for section in _SECTION.finditer(f"{text}\n"):
        entries: list[tuple[str, str]] = []
        for line in section[2].splitlines():
            if found := _NAMES.match(line):
                entries.append((found[1], found[2]))
            elif entries and line.strip():
                entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        for names, said in entries:
            first, *others = _INLINE.split(said)
            yield from ((name.strip(), first.strip()) for name in names.split(","))
            yield from zip(others[::2], (each.strip() for each in others[1::2]), strict=True)
