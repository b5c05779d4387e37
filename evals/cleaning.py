"""What is taken out of the rows before anything is drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evals.content import content_key
from evals.types import Example
from fewshot.core.hashing import text_key


def clean(rows: Mapping[str, tuple[Example, ...]]) -> tuple[dict[str, tuple[Example, ...]], list[str]]:
    """Drop what would spoil an evaluation, and say so.

    Empty texts; second copies of a text within a part; texts that occur with two golds; train texts that occur among
    the valid or test rows. Texts are compared by `content_key`, with the fields that the task declares.

    Returns:
        the rows that stay, and one sentence per reason with its count.
    """
    golds: dict[str, set[Any]] = {}
    for part_rows in rows.values():
        for row in part_rows:
            golds.setdefault(content_key(row), set()).add(row.label)
    held_out = {content_key(row) for part, part_rows in rows.items() if part in ("valid", "test") for row in part_rows}
    counts = {"empty": 0, "doubled": 0, "conflicting": 0, "leaking": 0}
    kept: dict[str, tuple[Example, ...]] = {}
    for part, part_rows in rows.items():
        seen: set[str] = set()
        stay: list[Example] = []
        for row in part_rows:
            key = content_key(row)
            if not text_key(row.text):
                counts["empty"] += 1
            elif len(golds[key]) > 1:
                counts["conflicting"] += 1
            elif key in seen:
                counts["doubled"] += 1
            elif part == "train" and key in held_out:
                counts["leaking"] += 1
            else:
                stay.append(row)
            seen.add(key)
        kept[part] = tuple(stay)
    reasons = {
        "empty": "without text",
        "doubled": "that repeat an earlier text",
        "conflicting": "whose text stands under two labels",
        "leaking": "of the train part that occur among held-out rows",
    }
    return kept, [f"left out {count} rows {reasons[name]}" for name, count in counts.items() if count]
