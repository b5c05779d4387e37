"""Stored JSON is an object of the expected shape, or one clear error; stored arguments are known and of their types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.learner import MetaLearner
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import StorageError
from fewshot.core.stored import known_arguments, read_object

pytestmark = pytest.mark.promise(51)


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"{", b"\xff", b"[" * 100_000, b"9" * 5_000, b'{"a": 1} x'])
def test_what_is_no_object_is_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"odd\.json is damaged"):
        read_object(path)


@pytest.mark.parametrize("name", [name for name, entry in LEARNERS.entries().items() if entry.needs_meta_training])
def test_what_a_meta_learner_would_save_is_what_it_takes(name: str) -> None:
    learner: Any = LEARNERS.build(name)
    assert isinstance(learner, MetaLearner)
    config = learner._config()
    assert known_arguments(learner._hints(), config, "learner.json") == config
    for key, value in ((key, object()) for key in config):
        with pytest.raises(StorageError, match=key):
            known_arguments(learner._hints(), {key: value}, "learner.json")
