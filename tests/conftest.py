"""Fixtures, the conditions under which marked tests run, and surroundings that are the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

_MODELS = ("smollm2", "minilm", "e5-small")

# How fast a machine is must not decide whether a property holds.
settings.register_profile("fewshot", deadline=None)
settings.load_profile("fewshot")

#: What the person who runs the tests may set for them; other variables of ours belong to the product.
_FOR_TESTS = ("FEWSHOT_DATA", "FEWSHOT_CACHE", "FEWSHOT_KILLS")
#: What libraries and the product read, and what would decide how a test comes out.
_FOREIGN = (
    *(
        "FEWSHOT_",
        "OPENAI_",
        "ANTHROPIC_",
        "HF_",
        "HUGGING",
        "TRANSFORMERS_",
        "RAY_",
        "MLFLOW_",
        "MASTER_",
        "TORCHELASTIC",
    ),
    *(
        "COLUMNS",
        "LINES",
        "NO_COLOR",
        "FORCE_COLOR",
        "PY_COLORS",
        "CLICOLOR",
        "TTY_",
        "GITHUB_ACTIONS",
        "TERMINAL_WIDTH",
    ),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "RANK", "LOCAL_RANK", "WORLD_SIZE", "PYTHONHASHSEED"),
)

# At once, and not in a fixture: some are read when a library is imported.
for _name in [name for name in os.environ if name.upper().startswith(_FOREIGN) and name not in _FOR_TESTS]:
    del os.environ[_name]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of vectors and answers that begins empty and is nobody's, with the models that are on this machine."""
    from fewshot.core.paths import cache_dir

    folder = tmp_path_factory.mktemp("cache")
    if _models_here():
        (folder / "models").symlink_to(cache_dir("models"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(folder))
        yield


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
