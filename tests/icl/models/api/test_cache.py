"""The cache: many processes, damaged files, and what is in a key."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl.models.api.cache import ResponseCache, request_key

IDENTITY = {"provider": "openai", "base_url": "http://h/v1", "model": "m", "revision": None}
BODY = {"model": "m", "messages": [{"role": "user", "content": "하이"}], "temperature": 0.0}


@pytest.fixture
def cache(tmp_path: Path) -> ResponseCache:
    return ResponseCache(tmp_path / "c" / "responses.sqlite")


@pytest.mark.promise(20)
@pytest.mark.promise(21)
def test_everything_that_decides_an_answer_is_in_the_key() -> None:
    keys = [
        request_key(IDENTITY, "/chat/completions", BODY),
        *(request_key({**IDENTITY, name: "other"}, "/chat/completions", BODY) for name in IDENTITY),
        request_key(IDENTITY, "/responses", BODY),
        *(request_key(IDENTITY, "/chat/completions", {**BODY, name: 1}) for name in (*BODY, "seed")),
        request_key(IDENTITY, "/chat/completions", BODY, sample=1),
    ]
    assert len(set(keys)) == len(keys)
    assert request_key(IDENTITY, "/chat/completions", dict(reversed(BODY.items()))) == keys[0]


def test_what_is_put_is_found_by_others(cache: ResponseCache) -> None:
    assert cache.get("k") is None
    cache.put("k", {"text": "긍정\U0001f600"}, "openai m")
    assert ResponseCache(cache.path).get("k") == {"text": "긍정\U0001f600"}
    cache.close()
    assert cache.get("k") == {"text": "긍정\U0001f600"}


@pytest.mark.promise(37)
def test_only_its_owner_may_read_it(cache: ResponseCache) -> None:
    cache.put("k", {}, "openai m")
    modes = {file.stat().st_mode & 0o777 for file in cache.path.parent.iterdir()}
    assert modes == {0o600}
    assert cache.path.parent.stat().st_mode & 0o777 == 0o700


def _work(path: Path, process: int, results: Any) -> None:
    cache = ResponseCache(path)
    for at in range(60):
        cache.put(f"shared-{at}", {"at": at}, "openai m")
        cache.put(f"own-{process}-{at}", {"at": at}, "openai m")
    results.put(sum(cache.get(f"shared-{at}") == {"at": at} for at in range(60)))


@pytest.mark.promise(19)
def test_eight_processes_lose_nothing(cache: ResponseCache, recwarn: pytest.WarningsRecorder) -> None:
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    processes = [spawn.Process(target=_work, args=(cache.path, at, results)) for at in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert [results.get(timeout=200) for _ in processes] == [60] * 8
    assert cache.summary().answers == 60 + 8 * 60
    assert cache.damaged() == 0
    assert not list(cache.path.parent.glob("*.damaged-*"))


DAMAGE = {
    "text": lambda raw: b"this is no database" * 100,
    "empty": lambda raw: b"",
    "truncated": lambda raw: raw[: len(raw) // 2],
    "first-page": lambda raw: raw[:40] + b"\xff" * 60 + raw[100:],
    "zeros": lambda raw: b"\0" * len(raw),
}


@pytest.mark.promise(18)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_moved_aside(cache: ResponseCache, damage: Any) -> None:
    for at in range(200):
        cache.put(str(at), {"text": "x" * 200}, "openai m")
    cache.close()
    cache.path.write_bytes(damage(cache.path.read_bytes()))
    again = ResponseCache(cache.path)
    again.get("7")
    again.put("new", {"text": "y"}, "openai m")
    assert ResponseCache(cache.path).get("new") == {"text": "y"}


@pytest.mark.promise(18)
@given(at=st.integers(0, 10**9), byte=st.integers(0, 255))
def test_a_flipped_byte_never_changes_an_answer(tmp_path_factory: Any, at: int, byte: int) -> None:
    cache = ResponseCache(tmp_path_factory.mktemp("flip") / "c.sqlite")
    answers = {str(n): {"text": f"answer {n}" * 5} for n in range(20)}
    for key, answer in answers.items():
        cache.put(key, answer, "openai m")
    cache.close()
    raw = bytearray(cache.path.read_bytes())
    raw[at % len(raw)] = byte
    cache.path.write_bytes(raw)
    again = ResponseCache(cache.path)
    for key, answer in answers.items():
        assert again.get(key) in (None, answer)


def test_a_damaged_row_is_found_and_removed(cache: ResponseCache) -> None:
    cache.put("a", {"text": "good"}, "openai m")
    cache.put("b", {"text": "good"}, "openai m")
    cache.close()
    database = sqlite3.connect(cache.path)
    with database:
        database.execute("UPDATE answers SET content = replace(content, 'good', 'evil') WHERE key = 'a'")
    database.close()
    assert (cache.get("a"), cache.get("b")) == (None, {"text": "good"})
    assert (cache.damaged(), cache.damaged(remove=True), cache.damaged()) == (1, 1, 0)
    cache.put("a", {"text": "good"}, "openai m")
    assert cache.get("a") == {"text": "good"}


def test_clearing_by_model_and_age(cache: ResponseCache) -> None:
    for key, model in (("a", "openai m"), ("b", "openai n"), ("c", "anthropic m")):
        cache.put(key, {}, model)
    assert cache.summary().models == {"openai m": 1, "openai n": 1, "anthropic m": 1}
    assert cache.clear(older_than=3600) == 0
    assert cache.clear("m", dry_run=True) == 2
    assert (cache.clear("openai m"), cache.clear("m"), cache.clear(), cache.clear()) == (1, 1, 1, 0)


@pytest.mark.promise(17)
def test_a_place_that_cannot_be_written_costs_the_cache_alone(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "file").write_text("")
    cache = ResponseCache(tmp_path / "file" / "responses.sqlite")
    cache.put("a", {}, "openai m")
    assert cache.get("a") is None
    assert "going on without it" in caplog.text
