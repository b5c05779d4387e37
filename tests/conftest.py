"""Fixtures and the conditions under which marked tests run."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

_MODELS = ("smollm2", "minilm", "e5-small")

# How fast a machine is must not decide whether a property holds.
settings.register_profile("fewshot", deadline=None)
settings.load_profile("fewshot")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs data sets or models that are not here, and say so."""
    data = os.environ.get("FEWSHOT_DATA")
    no_data = pytest.mark.skip(reason="FEWSHOT_DATA is not set to a folder with the data sets")
    no_models = pytest.mark.skip(
        reason=f"the embedded models are not here; run: fewshot models pull {' '.join(_MODELS)}"
    )
    for item in items:
        if "data" in item.keywords and not (data and Path(data).is_dir()):
            item.add_marker(no_data)
        if "models" in item.keywords and not _models_here():
            item.add_marker(no_models)


@cache
def _models_here() -> bool:
    from fewshot.core.embedded import locate

    return all(locate(name) is not None for name in _MODELS)


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without $FEWSHOT_DATA."""
    monkeypatch.delenv("FEWSHOT_DATA", raising=False)
