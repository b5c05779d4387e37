"""Episodes are functions of data, class split, part, way, seed and index, and hide what they ask."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from evals.episode import EpisodeSampler
from fewshot.core.errors import TaskError, UsageError
from tests.evals.fakes import KINDS, classification_task, sampler_of

#: Episode hashes of sampling version 2. They change with that version alone: stored runs are compared by them.
GOLDEN = {
    "classification": "aec658dbb30b5fc78e6ef22d2440dbe78425e3d91ae076c15eee68f0ddec6f93",
    "multilabel": "7ba7fdb53d92f04f280882568bbb61aba831b9385a394ba197bf305a353f1438",
    "tagging": "dd058ae7f5b435fbf5f8957dddda2ffc34b7ffa5e1a198b4e1fe80d905030cc3",
    "generation": "4df7cd537614cf6a2526087450f53d3a9194274dd3847a84b5540bbaff16fcee",
}

_PRINT_HASHES = """
from tests.evals.fakes import KINDS, sampler_of
from fewshot.core.hashing import digest
for kind in KINDS:
    print(kind, digest(sampler_of(kind).manifest(5)))
"""


@pytest.mark.promise(42)
@pytest.mark.parametrize("hash_seed", ["0", "1", "12345"])
def test_hashes_are_the_same_in_any_process(hash_seed: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _PRINT_HASHES],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(line.split() for line in found.stdout.splitlines()) == GOLDEN


@pytest.mark.parametrize("kind", KINDS)
def test_episodes_do_not_depend_on_the_order_of_drawing(kind: str) -> None:
    sampler = sampler_of(kind)
    forward = [sampler[index] for index in range(6)]
    backward = [sampler[index] for index in reversed(range(6))]
    assert forward == backward[::-1] == list(sampler.take(6))
    assert sampler.manifest(3) == sampler.manifest(6)[:3]


def test_words_around_the_data_do_not_change_episodes() -> None:
    plain, worded = (
        EpisodeSampler(classification_task(instruction=text), 3, 1, 2) for text in ("", "Say what it is about.")
    )
    assert plain.manifest(3) == worded.manifest(3)
    assert plain[0].problem.task != worded[0].problem.task


@pytest.mark.parametrize("change", [{"seed": 1}, {"way": 2}, {"shot": 1}, {"query": 1}], ids=str)
def test_what_defines_a_sampler_changes_its_episodes(change: dict[str, int]) -> None:
    sampler = sampler_of("classification")
    assert replace(sampler, **change).manifest(5) != sampler.manifest(5)


def test_class_splits_keep_classes_apart() -> None:
    task = classification_task(split=True)
    seen = {}
    for part in ("train", "valid", "test"):
        sampler = EpisodeSampler(task, 2, 1, 1, class_split="01", part=part)
        seen[part] = {label.name for episode in sampler.take(9) for label in episode.problem.labels}
    assert seen == {"train": {"c0", "c1"}, "valid": {"c2", "c3"}, "test": {"c4", "c5"}}


def test_labels_and_queries_are_shuffled() -> None:
    episodes = list(sampler_of("classification").take(20))
    assert len({episode.problem.labels for episode in episodes}) > 10
    assert any(list(episode.gold) != sorted(episode.gold) for episode in episodes)


@pytest.mark.promise(29)
@pytest.mark.parametrize("kind", KINDS)
def test_no_gold_can_be_reached_from_a_problem(kind: str) -> None:
    """Walk everything that hangs on the queries: neither an attribute, nor a value, nor an id gives the gold away."""
    episode = sampler_of(kind)[0]
    rows = {row.id: row for part in sampler_of(kind).task.rows.values() for row in part}
    for query, row_id in zip(episode.problem.queries, episode.query_ids, strict=True):
        assert not hasattr(query, "label")
        assert not hasattr(query, "gold")
        found = list(_walk(query))
        assert rows[row_id].label not in found
        assert row_id not in found
        assert "hidden" not in query.fields
    reachable = list(_walk(episode.problem))
    assert episode.gold not in reachable
    assert not any(value is episode for value in reachable)


@pytest.mark.promise(28)
def test_a_row_that_is_both_shown_and_asked_is_refused() -> None:
    task = classification_task(n_classes=2, per_class=4)
    rows = task.rows["all"]
    twice = tuple(replace(row, id=f"again-{row.id}", text=f" {row.text.upper()} ") for row in rows)
    sampler = EpisodeSampler(replace(task, rows={"all": rows + twice}), 2, 4, 4)
    with pytest.raises(UsageError, match="both shown and asked"):
        sampler[0]


def test_there_is_no_episode_before_the_first() -> None:
    with pytest.raises(IndexError):
        sampler_of("classification")[-1]


@pytest.mark.parametrize(
    ("parts", "part"),
    [(("train", "valid"), "valid"), (("train", "valid", "test"), "test"), (("all",), "test")],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else value,
)
def test_valid_rows_stand_in_where_no_test_rows_are_published(parts: tuple[str, ...], part: str) -> None:
    task = classification_task()
    rows = tuple(row for each in task.rows.values() for row in each)
    drawn = EpisodeSampler.of(replace(task, rows=dict.fromkeys(parts, rows), class_splits={}), 2, 1, 1)
    assert drawn.part == part


@pytest.mark.parametrize(
    ("per_class", "shot", "query"), [(40, 5, 15), (20, 5, 15), (19, 5, 14), (8, 5, 3), (3, 0, 3), (6, 5, 1)]
)
def test_fifteen_texts_of_a_class_are_asked_or_as_many_as_there_are(per_class: int, shot: int, query: int) -> None:
    assert EpisodeSampler.of(classification_task(per_class=per_class), 3, shot, None).query == query


def test_a_class_without_a_text_to_ask_is_refused_with_the_way_out() -> None:
    with pytest.raises(TaskError, match="lower --shot"):
        EpisodeSampler.of(classification_task(per_class=5), 3, 5, None)


def _walk(value: Any) -> Any:
    yield value
    if is_dataclass(value):
        for field in fields(value):
            yield from _walk(getattr(value, field.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _walk(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _walk(item)
