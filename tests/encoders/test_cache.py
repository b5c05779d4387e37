"""Vectors come out of the cache as they went in, whatever happens to the file."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fewshot.encoders import CachedEncoder
from fewshot.encoders.cache import VectorStore


class Hashing:
    """A dense encoder that notes what it is asked."""

    name = "hashing"
    expensive = True

    def __init__(self, fingerprint: str = "f" * 64) -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def fit(self, texts):
        return self

    def encode(self, texts):
        self.asked.extend(texts)
        seeds = [int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) for text in texts]
        rows = [np.random.RandomState(seed).randn(8) for seed in seeds]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 8)

    def describe(self):
        return {"name": self.name}


TEXTS = ["one", "두 번째", "", "one", "\ud800", "x" * 10_000]


def test_vectors_are_bit_by_bit_those_of_the_encoder(tmp_path):
    encoder = CachedEncoder(Hashing(), tmp_path)
    expected = Hashing().encode(TEXTS)
    for _ in range(2):
        vectors = encoder.encode(TEXTS)
        assert vectors.dtype == np.float32
        np.testing.assert_array_equal(vectors, expected)


def test_each_text_is_encoded_once(tmp_path):
    inner = Hashing()
    encoder = CachedEncoder(inner, tmp_path)
    for texts in (TEXTS, TEXTS[::-1], [*TEXTS, "new"]):
        encoder.encode(texts)
    assert sorted(inner.asked) == sorted({*TEXTS, "new"})


def test_no_texts_give_no_rows(tmp_path):
    assert CachedEncoder(Hashing(), tmp_path).encode([]).shape == (0, 8)


def test_an_encoder_that_learns_nothing_stays_cached(tmp_path):
    encoder = CachedEncoder(Hashing(), tmp_path)
    assert encoder.fit(["text"]) is encoder
    assert (encoder.fingerprint, encoder.describe()) == ("f" * 64, {"name": "hashing"})


def test_another_process_finds_the_vectors(tmp_path):
    CachedEncoder(Hashing(), tmp_path).encode(TEXTS)
    inner = Hashing()
    CachedEncoder(inner, tmp_path).encode(TEXTS)
    assert inner.asked == []


def test_encoders_do_not_share_vectors(tmp_path):
    CachedEncoder(Hashing(), tmp_path).encode(TEXTS)
    other = Hashing("e" * 64)
    CachedEncoder(other, tmp_path).encode(TEXTS)
    assert set(other.asked) == set(TEXTS)


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from fewshot.encoders import CachedEncoder
from tests.encoders.test_cache import Hashing
encoder = CachedEncoder(Hashing(), Path(sys.argv[1]))
for start in range(0, 400, 20):
    texts = [f"text {n}" for n in range(start, start + 40)]
    assert np.array_equal(encoder.encode(texts), Hashing().encode(texts))
"""


def test_two_processes_share_one_file(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, b"")
    inner = Hashing()
    CachedEncoder(inner, tmp_path).encode([f"text {n}" for n in range(420)])
    assert inner.asked == []


@pytest.mark.parametrize("damage", ["garbage", "truncated"])
def test_a_damaged_file_is_moved_aside(tmp_path, caplog, damage):
    CachedEncoder(Hashing(), tmp_path).encode([f"text {n}" for n in range(500)])
    (file,) = tmp_path.glob("*.sqlite")
    content = file.read_bytes()
    file.write_bytes(
        b"not a database" * 100 if damage == "garbage" else content[:4096] + b"\xff" * (len(content) - 4096)
    )
    with caplog.at_level(logging.WARNING):
        vectors = CachedEncoder(Hashing(), tmp_path).encode(TEXTS)
    np.testing.assert_array_equal(vectors, Hashing().encode(TEXTS))
    assert "is damaged" in caplog.text
    assert list(tmp_path.glob("*.damaged-*"))
    inner = Hashing()
    CachedEncoder(inner, tmp_path).encode(TEXTS)
    assert inner.asked == []


def test_a_damaged_vector_is_computed_again(tmp_path):
    CachedEncoder(Hashing(), tmp_path).encode(TEXTS)
    (file,) = tmp_path.glob("*.sqlite")
    database = sqlite3.connect(file)
    database.execute("UPDATE vectors SET vector = zeroblob(32)")
    database.commit()
    database.close()
    np.testing.assert_array_equal(CachedEncoder(Hashing(), tmp_path).encode(TEXTS), Hashing().encode(TEXTS))
    inner = Hashing()
    CachedEncoder(inner, tmp_path).encode(TEXTS)
    assert inner.asked == []


def test_a_cache_that_cannot_be_written_costs_no_work(tmp_path, caplog):
    encoder = CachedEncoder(Hashing(), tmp_path / "no such folder")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(encoder.encode(TEXTS), Hashing().encode(TEXTS))
    assert "going on without it" in caplog.text


def test_the_store_answers_for_more_keys_than_one_statement_takes(tmp_path):
    store = VectorStore(tmp_path / "many.sqlite")
    items = {str(n).encode(): np.float32([n, -n]) for n in range(2500)}
    store.put(items.items())
    found = store.get([*items, b"absent"])
    assert found.keys() == items.keys()
    assert all(np.array_equal(found[key], items[key]) for key in items)
