"""What the terminal sees: results on stdout, everything else on stderr, and no control characters from data."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 160
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """Text that cannot move the cursor, set a title or turn the direction of writing."""
    return _CONTROLS.sub("\ufffd", str(text))


@cache
def results() -> Console:
    """Where results go: stdout. A pipe has no width of its own: tables get room there instead of being folded."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


@cache
def messages() -> Console:
    """Where everything else goes: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str, style: str = "") -> None:
    """A line for people, on stderr."""
    from rich.text import Text

    messages().print(Text(clean(message), style=style))


def complain(message: str) -> None:
    """An error, on stderr."""
    from rich.text import Text

    messages().print(Text("error: ", style="bold red").append(clean(message), style=""))


def show(text: str = "", style: str = "") -> None:
    """A line of the result, on stdout."""
    from rich.text import Text

    results().print(Text(clean(text), style=style))


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    apart: int = 0,
) -> None:
    """A table of plain cells on stdout.

    Args:
        right: columns that are right-aligned.
        apart: how many of the last rows make a block of their own.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=clean(title) or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for at, row in enumerate(rows):
        if 0 < at == len(rows) - apart:
            table.add_section()
        table.add_row(*(Text(clean(cell)) for cell in row))
    results().print(table)


def left_out(reasons: Mapping[str, str]) -> list[str]:
    """One line for each reason why something is left out, with all that it keeps out."""
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    return [f"left out: {', '.join(some)}: {why}" for why, some in names.items()]


def show_json(document: Any) -> None:
    """Exactly one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def offline() -> bool:
    """Whether `--offline` was given."""
    return os.environ.get("FEWSHOT_OFFLINE") == "1"
