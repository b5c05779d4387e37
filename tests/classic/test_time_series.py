"""Time series from the file to the answer: tasks, what may read them, and TapNet on the made ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from classic.algorithms.tapnet import Learner
from classic.learners.prototypes import Prototypes
from evals.episode import EpisodeSampler
from evals.learner import for_task
from evals.loading import load_task
from evals.metatrain import Shape, training_data
from evals.task import Task
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.series import Series
from fewshot.encoders.steps import Steps
from tests.classic.toys import accuracy, context

NAN = float("nan")
SMALL = "series:features=16,groups=2,filters=8,recurrent=0,length=32"


def ts(folder: Path, classes: int, first: int = 0, name: str = "made.ts") -> Path:
    """Series that rise by the number of their class."""
    names = [f"up{at}" for at in range(classes)]
    rows = [f"0,{at + 1},{2 * at + 2},{row}:{names[at]}" for at in range(classes) for row in range(first, first + 3)]
    path = folder / name
    path.write_text("\n".join(["@problemName made", f"@classLabel true {' '.join(names)}", "@data", *rows]))
    return path


@pytest.fixture(scope="module")
def waves() -> Task:
    return load_task("waves")


def test_a_file_is_a_task(tmp_path: Path) -> None:
    task = load_task(ts(tmp_path, 6))
    assert (task.name, task.info.modality) == ("made", "series")
    assert (task.info.language, len(task.labels)) == ("zxx", 6)
    split = task.class_splits["auto"]
    assert {part: len(names) for part, names in split.items()} == {"train": 2, "valid": 2, "test": 2}


def test_a_folder_has_the_parts_of_its_files(tmp_path: Path) -> None:
    ts(tmp_path, 3, name="made_TRAIN.ts")
    ts(tmp_path, 3, first=3, name="made_TEST.ts")
    task = load_task(tmp_path)
    assert not task.class_splits
    episode = EpisodeSampler(task, 3, 2, 1, 0, None, "test")[0]
    assert len(episode.problem.support) == 6


@pytest.mark.parametrize("options", [{"text": "x"}, {"encoding": "utf-8"}, {"kind": "tagging"}])
def test_how_texts_are_read_does_not_concern_series(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"how texts are read, and .*made\.ts holds time series; leave them out"):
        load_task(ts(tmp_path, 2), **options)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(TaskError, match=r"nowhere\.ts: no such file"):
        load_task("nowhere.ts")


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="class"):
        load_task(ts(tmp_path, 1))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("prototypes:encoder=lexical", "'lexical' reads texts, and task 'waves' is of time series.*--encoder series"),
        ("prototypes:encoder=pixels", "'pixels' reads images, and task 'waves' is of time series"),
        ("protonet:encoder=ngrams", "'ngrams' reads texts, and task 'waves' is of time series"),
        ("tfidf", "tfidf reads texts, and task 'waves' is of time series"),
    ],
)
def test_what_reads_no_series_is_refused(waves: Task, spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        for_task(LEARNERS.build(spec), waves.info, waves.labels)


def test_the_encoder_of_series_is_chosen_where_none_is_named(waves: Task) -> None:
    assert [for_task(each, waves.info).encoder for each in (Prototypes(), Learner())] == ["steps", "series"]


def test_steps_are_drawn_out_between_what_was_observed() -> None:
    found = Steps(5).encode([Series.of([[NAN, 0, NAN, 2, NAN], [1, 1, 1, 1, 1], [NAN] * 5]), Series.of([[0, 2]] * 3)])
    line = np.array([-1, -0.5, 0, 0.5, 1]) / np.sqrt(2.5)
    np.testing.assert_allclose(found[0], [*line, *[0] * 10], atol=1e-6)
    np.testing.assert_allclose(found[1].reshape(3, 5), np.tile(line / np.sqrt(3), (3, 1)), atol=1e-6)
    with pytest.raises(UsageError, match="series of 1 and of 2 dimensions cannot be compared"):
        Steps(5).encode([Series.of([0, 1]), Series.of([[0, 1], [2, 3]])])


def test_tapnet_learns_waves_and_is_kept(waves: Task, tmp_path: Path) -> None:
    shape = Shape(4, 3, 4)
    data = training_data(shape, shape, tested=waves, class_split="01")
    settings = {"steps": 16, "eval_every": 16, "meta_batch": 4, "n_valid": 10, "lr": 1e-2}
    learner = Learner(encoder=SMALL, **settings)
    learner.meta_fit(data.train, data.valid, context())
    tested = EpisodeSampler(waves, 4, 3, 4, 0, "01", "test")
    assert accuracy(learner, tested) > max(0.6, accuracy(Prototypes(encoder="steps"), tested) + 0.15)  # chance: 1 in 4
    learner.save(tmp_path)
    again = Learner(from_=str(tmp_path))
    assert accuracy(again, tested, 5) == accuracy(learner, tested, 5)
    assert again.describe() == learner.describe()
