"""A tiny recipe, with texts of its own: everything that the real one has, in seconds."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ko_mini.recipe import Recipe, read_recipe
from tests.conftest import own_cache, pytest_collection_modifyitems

__all__ = ["own_cache", "pytest_collection_modifyitems"]

WORDS = ["영화", "배우", "연기", "음악", "장면", "시간", "감독", "이야기", "화면", "처음", "친구", "가족", "사랑"]
GOOD, BAD = ["최고", "감동", "좋아요", "추천", "훌륭"], ["최악", "지루", "별로", "아까워", "실망"]

RECIPE = """
name: tiny
languages: [ko, en]
licence: Apache-2.0
size: {layers: 2, width: 64, heads: 4, inner: 96, vocabulary: 900, context: 512}
sources:
  reviews: {path: reviews.jsonl.gz, licence: CC0-1.0, source: tests}
  written: {path: written.tsv, licence: Apache-2.0, source: this project}
  intents: {path: intents-en, licence: Apache-2.0, source: this project}
excluded: [sentiment-en]
valid_one_in: 20
valid_episodes: 2
stages:
  - name: reviews
    materials: {ratings: 1}
    words: {canonical: 1}
    examples: 2
    steps: 3
    batch: 4
    text_every: 2
    schedule: constant
    evaluations: 1
  - name: mixed
    deepen: true
    materials: {variants: 1, ratings: 1, written: 1, tasks: 1}
    distilled: 0.5
    joined: 0.3
    blank: 0.1
    words: {random: 1, permuted: 1, canonical: 1}
    way: 3
    examples: 6
    steps: 4
    batch: 10
    evaluations: 2
test:
  tasks: {sentiment-ko: 2}
  others: {intents-ko: 3}
  other_shot: 2
  shots: [1]
  words: [canonical, swapped]
  episodes: 2
  query: 2
"""


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models lose more by handing work between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 3,000 reviews, one of them a text of a test."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.RandomState(0)
    rows = []
    for at in range(3000):
        rating = (1, 4, 6, 9, 10)[at % 5]
        mood = GOOD if rating > 6 else BAD if rating < 5 else WORDS
        words = [*random.choice(WORDS, 4).tolist(), mood[random.randint(len(mood))]]
        rows.append({"text": " ".join(random.permutation(words).tolist()), "rating": rating})
    rows.append({"text": a_tested_text(), "rating": 10})
    with gzip.open(folder / "reviews.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return folder


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def recipe(recipe_file: Path) -> Recipe:
    return read_recipe(recipe_file)


def a_tested_text() -> str:
    """A text of sentiment-ko."""
    from evals.loading import load_task

    return next(iter(load_task("sentiment-ko").rows.values()))[0].text
