"""Examples and queries as people have them, mappings and plain texts, read as the records that learners know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evals.types import Example, Query
from fewshot.core.errors import UsageError

_NAMES = ("id", "text", "label")


def example_of(row: Example | Mapping[str, Any], at: int) -> Example:
    """A labelled text.

    Args:
        row: an example, or a mapping with a `text`, usually a `label`, perhaps an `id`, and further fields.
        at: its number from 0, which stands for an id.

    Raises:
        UsageError: it is neither, or has no text.
    """
    if isinstance(row, Example):
        return row
    if not isinstance(row, Mapping) or not isinstance(row.get("text"), str):
        raise UsageError(f'example {at + 1} has no text, as {{"text": ..., "label": ...}} has: {str(row)[:60]}')
    label = row.get("label")
    if isinstance(label, list | tuple | set):
        label = tuple(map(str, label))
    elif label is not None:
        label = str(label)
    fields = {name: value for name, value in row.items() if name not in _NAMES}
    return Example(str(row.get("id", f"s{at}")), row["text"], label, fields)


def query_of(row: Query | str | Mapping[str, Any], at: int) -> Query:
    """A text to be labelled.

    Args:
        row: a query, a text, or a mapping as for `example_of`, whose label is not read.
        at: its number from 0, which stands for an id.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(row, Query):
        return row
    read = example_of({"text": row} if isinstance(row, str) else row, at)
    return Query(read.id if isinstance(row, Mapping) and "id" in row else f"query {at}", read.text, read.fields)
