"""Cells that stay data when a spreadsheet opens them."""

from __future__ import annotations

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def disarmed(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a quote goes before text that begins like one."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
