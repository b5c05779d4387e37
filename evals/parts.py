"""Parts of a task that a column of its one file names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from evals.sources import PART_NAMES, Row

#: What such a column is called.
SPLIT_COLUMNS = ("split", "part", "partition", "subset")


def by_split_column(
    parts: Mapping[str, Iterable[Row]], used: Collection[str], notify: Callable[[str], None]
) -> dict[str, Iterable[Row]]:
    """The rows of one file by part, where a column `split` (part, partition, subset) says train, valid or test of each.

    Args:
        used: columns that mean something else.
        notify: told which column divides the rows, or that one of that name does not.
    """
    if set(parts) != {"all"}:
        return dict(parts)
    rows = list(parts["all"])
    columns = {str(name).lower(): name for name in (rows[0].values if rows else ())}
    column = next((columns[name] for name in SPLIT_COLUMNS if name in columns and columns[name] not in used), None)
    if column is None:
        return {"all": rows}
    divided: dict[str, list[Row]] = {}
    for row in rows:
        divided.setdefault(part_of(row.values.get(column)), []).append(row)
    if "train" not in divided or len(divided) < 2 or not {"train", "valid", "test"}.issuperset(divided):
        notify(f"the column {column!r} is not used: it does not say train, valid or test of every row")
        return {"all": rows}
    counts = ", ".join(f"{len(members)} {part}" for part, members in divided.items())
    notify(f"the column {column!r} divides the rows: {counts}")
    return dict(divided)


def part_of(value: object) -> str:
    """The part that a value means, or nothing."""
    return PART_NAMES.get(str(value).strip().lower(), "")
