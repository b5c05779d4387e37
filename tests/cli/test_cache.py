"""`fewshot cache`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from icl.models.api.cache import ResponseCache


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ResponseCache:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    return ResponseCache()


def test_an_empty_cache(fewshot: Callable, cache: ResponseCache) -> None:
    assert fewshot("cache", "path").stdout.strip() == str(cache.path)
    assert fewshot("cache", "info").stdout.startswith("0 answers, 0.0 MB")
    assert fewshot("cache", "verify").stdout.strip() == "0 answers, all sound"
    assert fewshot("cache", "clear").stdout.strip() == "0 answers removed"
    assert not cache.path.exists(), "looking makes no file"


def test_info_and_clear(fewshot: Callable, cache: ResponseCache) -> None:
    for key, model in (("a", "openai m"), ("b", "openai m"), ("c", "anthropic n")):
        cache.put(key, {}, model)
    document = json.loads(fewshot("cache", "info", "--json").stdout)
    assert (document["answers"], document["models"]) == (3, {"anthropic n": 1, "openai m": 2})
    assert fewshot("cache", "clear", "--older-than", "1h").stdout.strip() == "0 answers removed"
    assert fewshot("cache", "clear", "-m", "openai:m", "--dry-run").stdout.strip() == "2 answers would be removed"
    assert fewshot("cache", "clear", "-m", "openai:m").stdout.strip() == "2 answers removed"
    assert "anthropic n" in fewshot("cache", "info").stdout
    refused = fewshot("cache", "clear", "--older-than", "soon")
    assert (refused.code, "30d" in refused.stderr) == (2, True)


@pytest.mark.promise(18)
def test_verify_finds_damage(fewshot: Callable, cache: ResponseCache) -> None:
    cache.put("a", {"text": "good"}, "openai m")
    cache.close()
    with sqlite3.connect(cache.path) as database:
        database.execute("UPDATE answers SET content = '{}'")
    found = fewshot("cache", "verify")
    assert (found.code, "1 damaged" in found.stderr) == (1, True)
    assert fewshot("cache", "verify", "--repair").stdout.strip() == "1 damaged answers removed"
    assert fewshot("cache", "verify").code == 0
