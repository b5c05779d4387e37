"""Rows of tables in memory: data frames of pandas and polars, data sets of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from typing import Any

from evals.hub import dataset_rows
from evals.sources import PART_NAMES, Row
from fewshot.core.errors import TaskError


def parts_of(table: Any) -> dict[str, Iterable[Row]]:
    """The rows of a table by part: of a `DatasetDict` by its splits, of any other table as "all".

    Raises:
        TaskError: it is no such table, or its splits are not called train, valid or test.
    """
    if isinstance(table, Mapping):
        unknown = [str(name) for name in table if str(name).lower() not in PART_NAMES]
        if unknown or not table:
            raise TaskError(f"splits are called train, valid and test; these are {', '.join(unknown) or 'none'}")
        return {PART_NAMES[str(name).lower()]: _rows(part, f"split {name!r}") for name, part in table.items()}
    return {"all": _rows(table, "table")}


def _rows(table: Any, origin: str) -> Iterator[Row]:
    package = type(table).__module__.partition(".")[0]
    if package == "datasets" and hasattr(table, "features"):
        return dataset_rows(table, origin)
    if package == "polars" and hasattr(table, "iter_rows"):
        return _numbered(table.iter_rows(named=True), origin)
    if package == "pandas" and hasattr(table, "itertuples"):
        if not table.columns.is_unique:
            raise TaskError(f"{origin}: two columns have the same name")
        names = list(map(str, table.columns))
        missing = table.isna().to_numpy()
        records = (
            {name: None if gone else value for name, value, gone in zip(names, row, gaps, strict=True)}
            for row, gaps in zip(table.itertuples(index=False, name=None), missing, strict=True)
        )
        return _numbered(records, origin)
    raise TaskError(
        f"{type(table).__name__} is no task: give a name, a path, a data frame of pandas or polars, or a data set of "
        "Hugging Face"
    )


def _numbered(records: Iterable[Mapping[str, Any]], origin: str) -> Iterator[Row]:
    for number, values in enumerate(records, start=1):
        yield Row({name: _plain(value) for name, value in values.items()}, f"{origin}, row {number}", number)


def _plain(value: Any) -> Any:
    """A value as a file would give it: numbers of numpy as those of Python, dates as text."""
    if hasattr(value, "dtype") and hasattr(value, "item"):
        value = value.item()
    return str(value) if isinstance(value, (date, time)) else value
