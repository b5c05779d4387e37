"""Rows from the Hugging Face hub, fetched when they are first needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from evals.card import HubCard
from evals.sources import Row
from fewshot.core.errors import MissingExtra, ModelUnavailable


def hub_rows(hub: HubCard, split: str) -> Iterator[Row]:
    """Yield the rows of one split; class numbers are replaced by their names.

    Raises:
        MissingExtra: without the `data` extra.
        ModelUnavailable: no network, no such data set.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra(f"reading {hub.id} from the Hugging Face hub", "data") from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries are no news to the user
    try:
        data = datasets.load_dataset(hub.id, hub.config, split=split, revision=hub.revision)
    except Exception as error:
        raise ModelUnavailable(
            f"the data set {hub.id} cannot be had from the Hugging Face hub ({type(error).__name__}: {error}). "
            "Check the network, or set FEWSHOT_DATA to a folder with a copy"
        ) from error
    yield from dataset_rows(data, f"{hub.id} {split}")


def dataset_rows(data: Any, origin: str) -> Iterator[Row]:
    """Yield the rows of a `datasets.Dataset`; class numbers are replaced by their names."""
    features = data.features or {}  # a stream may not know them
    named = {column: _names_of(feature) for column, feature in features.items()}
    for number, values in enumerate(data, start=1):
        readable = {column: _readable(value, named.get(column)) for column, value in dict(values).items()}
        yield Row(readable, f"{origin}, row {number}", number)


def _names_of(feature: Any) -> Any | None:
    """What names the class numbers in a column, be it one per row or a list; None where there are none."""
    inner = getattr(feature, "feature", feature)
    return inner if hasattr(inner, "int2str") else None


def _readable(value: Any, names: Any | None) -> Any:
    if names is None:
        return value
    if isinstance(value, list):
        return [_readable(each, names) for each in value]
    return names.int2str(value) if isinstance(value, int) and value >= 0 else value
