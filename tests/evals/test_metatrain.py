"""Training episodes: whose classes, whose texts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evals.episode import EpisodeSampler
from evals.metatrain import Shape, training_data, without_texts
from fewshot.core.errors import TaskError, UsageError
from tests.classic.toys import SPLIT, data, toy_task

SHAPE = Shape(3, 2, 3)


def _labels(episodes, count: int = 30) -> set[str]:
    return {label.name for at in range(count) for label in episodes[at].problem.labels}


def test_b2_training_validation_and_test_episodes_have_classes_of_their_own() -> None:
    """B2: a test loop that draws from the validation classes reports a second validation accuracy."""
    known = data()
    tested = EpisodeSampler(toy_task(), 3, 2, 3, 0, "01", "test")
    assert _labels(known.train) == set(SPLIT["01"]["train"])
    assert _labels(known.valid) == set(SPLIT["01"]["valid"])
    assert _labels(tested) == set(SPLIT["01"]["test"])
    manifests = [{episodes[at].id for at in range(30)} for episodes in (known.train, known.valid, tested)]
    assert not manifests[0] & manifests[1]
    assert not manifests[1] & manifests[2]


def test_the_background_is_the_texts_of_the_training_classes() -> None:
    assert {text.split()[0] for text in data().background.texts} == set(SPLIT["01"]["train"])


def test_episodes_are_functions_of_their_number_and_tasks_take_turns() -> None:
    sources = [toy_task(30, split=False), toy_task(30, split=False, name="other")]
    episodes = training_data(SHAPE, SHAPE, sources=sources).train
    assert [episodes[at].problem.task.name for at in range(4)] == ["toy", "other", "toy", "other"]
    assert episodes[7] == training_data(SHAPE, SHAPE, sources=sources).train[7]
    assert [episode.id for episode in episodes[2:4]] == [episodes[2].id, episodes[3].id]
    with pytest.raises(IndexError):
        episodes[len(episodes)]


def test_without_validation_rows_every_tenth_text_is_held_out() -> None:
    known = training_data(SHAPE, Shape(3, 1, 1), sources=[toy_task(60, split=False)])
    trained = {row.text for at in range(200) for row in _rows(known.train[at])}
    validated = {row.text for at in range(200) for row in _rows(known.valid[at])}
    assert validated
    assert not trained & validated


def _rows(episode):
    return [*episode.problem.support, *episode.problem.queries]


def test_texts_of_the_tested_task_are_dropped_and_counted() -> None:
    smaller, larger = toy_task(5, split=False), toy_task(20, split=False)
    kept, dropped = without_texts(larger, smaller)
    assert dropped == 60
    assert len(kept.rows["all"]) == 180
    known = training_data(SHAPE, SHAPE, tested=smaller, sources=[toy_task(60, split=False)])
    assert known.notes == ("toy: 60 training texts occur in toy and are left out",)


def test_classes_that_lose_their_texts_to_the_tested_task_are_left_out_and_told() -> None:
    whole = toy_task(60, split=False)
    tested = replace(whole, rows={"all": tuple(row for row in whole.rows["all"] if row.label in ("c0", "c1"))})
    for source in (whole, toy_task(60)):
        known = training_data(SHAPE, SHAPE, tested=tested, sources=[source])
        assert known.notes == (
            "toy: 120 training texts occur in toy and are left out",
            "toy: 2 classes have too few texts without them and are left out",
        )
        assert not {"c0", "c1"} & _labels(known.train)


def test_a_wide_training_way_is_lowered_to_the_classes_there_are() -> None:
    known = training_data(Shape(50, 2, 3), SHAPE, tested=toy_task(), class_split="01")
    assert len(known.train[0].problem.labels) == 6


def test_what_cannot_be_trained_on_is_told() -> None:
    with pytest.raises(UsageError, match="has no training classes"):
        training_data(SHAPE, SHAPE, tested=toy_task(split=False))
    with pytest.raises(
        TaskError, match="too few texts to train on without the 240 that occur in toy; name other tasks"
    ):
        training_data(SHAPE, SHAPE, tested=toy_task(split=False), sources=[toy_task(split=False)])
    with pytest.raises(TaskError, match="lower --shot"):
        training_data(Shape(3, 30, 3), SHAPE, tested=toy_task(), class_split="01")
