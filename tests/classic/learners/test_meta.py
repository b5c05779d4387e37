"""Saving, loading, and everything that may not fit together then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from classic.algorithms import maml, multitask, protonet
from classic.learners.meta import stored_name
from evals.metatrain import ensure_trained
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import StorageError, UsageError
from fewshot.core.locks import FolderLock
from tests.classic.toys import ToyEncoder, accuracy, context, data, fitted, sampler, toy_task

QUICK: Any = {"steps": 20, "eval_every": 10, "meta_batch": 4, "n_valid": 10, "train_way": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained protonet."""
    path = tmp_path_factory.mktemp("trained")
    fitted(protonet.Learner(encoder=ToyEncoder(), hidden=32, **QUICK), path).save(path)
    return path


def test_a_loaded_learner_is_the_one_that_was_saved(tmp_path: Path) -> None:
    learner = fitted(multitask.Learner(encoder=ToyEncoder(), **QUICK))
    learner.save(tmp_path)
    loaded = multitask.Learner(encoder=ToyEncoder(), from_=str(tmp_path))
    assert loaded.trained
    assert loaded.describe() == learner.describe()
    problems = [sampler()[at].problem for at in range(5)]
    expected = {done.problem_id: done.answers for done in learner.predict(problems, context())}
    assert {done.problem_id: done.answers for done in loaded.predict(problems, context())} == expected


def test_the_folder_holds_the_record_and_no_state_of_the_training(folder: Path) -> None:
    assert {file.name.split("-")[0] for file in folder.iterdir()} == {
        "learner.json",
        "learner",
        "curve.csv",
        "curve.svg",
    }
    document = json.loads((folder / "learner.json").read_text())
    assert document["algorithm"]["name"] == "protonet"
    assert document["algorithm"]["distance"] == "cosine"
    assert document["config"]["hidden"] == 32
    assert document["training"]["steps"] == 20
    assert stored_name(folder) == "protonet"


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (maml.Learner(encoder=ToyEncoder()), "holds a trained 'protonet', not 'maml'"),
        (protonet.Learner(encoder=ToyEncoder(), hidden=99), r"other arguments:\n  hidden: 32 -> 99"),
        (protonet.Learner(encoder=ToyEncoder(noise=2.0)), r"encoder\.noise: 1\.5 -> 2\.0"),
    ],
    ids=["another algorithm's checkpoint", "another argument", "another encoder"],
)
def test_what_does_not_fit_the_checkpoint_is_refused(folder: Path, learner: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        learner.load(folder)


class Grown(ToyEncoder):
    """Says that it is the toy encoder, and is not any more."""

    def describe(self) -> dict[str, Any]:
        return ToyEncoder().describe()


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Grown(width=30), "was trained on inputs of 24 columns, and encoder .* gives 30 now"),
        (Grown(noise=3.0), "is not the one that protonet was trained with"),
    ],
    ids=["dimension", "weights"],
)
def test_an_encoder_that_changed_since_the_checkpoint_is_refused(folder: Path, encoder: Any, message: str) -> None:
    learner = protonet.Learner(encoder=encoder, from_=str(folder))
    with pytest.raises(UsageError, match=message):
        list(learner.predict([sampler()[0].problem], context()))


def test_another_version_of_the_algorithm_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "learner.json"
    document = json.loads(path.read_text())
    document["algorithm"]["margin"] = 1.0
    path.write_text(json.dumps(document))
    learner = protonet.Learner(encoder=ToyEncoder(), from_=str(tmp_path))
    with pytest.raises(UsageError, match=r"another version of its algorithm:\n  margin: 1\.0 -> absent"):
        list(learner.predict([sampler()[0].problem], context()))


def test_a_folder_without_a_learner_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fewshot classic train"):
        stored_name(tmp_path)
    with pytest.raises(UsageError, match="fewshot classic train"):
        protonet.Learner(from_=str(tmp_path)).describe()
    (tmp_path / "learner.json").write_text("{")
    with pytest.raises(StorageError, match="is damaged"):
        stored_name(tmp_path)


def test_nothing_is_saved_before_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to save"):
        protonet.Learner().save(tmp_path)


def test_a_checkpoint_serves_any_way_and_shot(folder: Path) -> None:
    learner = protonet.Learner(encoder=ToyEncoder(), from_=str(folder))
    for way, shot in ((2, 1), (3, 5)):
        assert accuracy(learner, sampler(way=way, shot=shot)) > 1 / way


def test_the_spec_names_a_folder(folder: Path) -> None:
    learner = LEARNERS.build({"name": "protonet", "from": str(folder)}, encoder=ToyEncoder())
    assert learner.describe()["hidden"] == 32


def test_mixed_precision_is_for_the_encoder_and_leaves_the_parameters_in_float32() -> None:
    learner = protonet.Learner(encoder="ngrams:features=16,buckets=500", precision="bfloat16", **QUICK)
    learner.prepare(data().background, context())
    fitted(learner)
    assert {value.dtype.itemsize for value in learner._model.params.values()} == {4}
    assert learner._model.algorithm.describe()["network"]["name"] == "mixed-precision"
    assert accuracy(learner, sampler()) > 0.6


class TestEnsureTrained:
    def test_trains_saves_and_loads(self, tmp_path: Path) -> None:
        messages: list[str] = []
        learner = protonet.Learner(encoder=ToyEncoder(), **QUICK)
        ensure_trained(learner, sampler(), context(messages), _no_task, tmp_path)
        assert learner.trained
        assert any(message.startswith("step 10/20: loss") for message in messages)
        again = protonet.Learner(encoder=ToyEncoder(), **QUICK)
        ensure_trained(again, sampler(), context(messages), _no_task, tmp_path)
        assert again.describe() == learner.describe()

    def test_a_task_without_train_classes_needs_others_by_name(self) -> None:
        learner = protonet.Learner(encoder=ToyEncoder(), **QUICK)
        plain = _sampler_without_split()
        with pytest.raises(UsageError, match=r"task 'toy' has no training classes .* train=TASK\+TASK"):
            ensure_trained(learner, plain, context(), _no_task)

    def test_other_tasks_serve_without_the_texts_of_the_tested_one(self) -> None:
        messages: list[str] = []
        learner = protonet.Learner(encoder=ToyEncoder(), train="one+two", **{**QUICK, "train_way": 3})
        known = {"one": toy_task(60, split=False), "two": toy_task(25, split=False, name="other")}
        ensure_trained(learner, _sampler_without_split(), context(messages), known.__getitem__)
        assert learner.trained
        assert messages[:2] == [
            "toy: 240 training texts occur in toy and are left out",
            "other: 0 training texts occur in toy and are left out",
        ]

    @pytest.mark.promise(76)
    def test_a_folder_in_which_another_process_trains_is_left_alone(self, tmp_path: Path) -> None:
        with FolderLock(tmp_path, "training.lock", doing="trained in", advice=""):
            before = list(tmp_path.iterdir())
            with pytest.raises(UsageError, match=r"is being trained in by process \d+; wait until it ends"):
                ensure_trained(
                    protonet.Learner(encoder=ToyEncoder(), **QUICK), sampler(), context(), _no_task, tmp_path
                )
            assert list(tmp_path.iterdir()) == before
        learner = protonet.Learner(encoder=ToyEncoder(), **QUICK)
        ensure_trained(learner, sampler(), context(), _no_task, tmp_path)
        assert not (tmp_path / "training.lock").exists()

    def test_a_learner_that_needs_no_training_is_left_alone(self) -> None:
        ensure_trained(LEARNERS.build("tfidf"), _sampler_without_split(), context(), _no_task)


def _no_task(name: str) -> Any:
    raise AssertionError(f"task {name} was asked for")


def _sampler_without_split() -> Any:
    from evals.episode import EpisodeSampler

    return EpisodeSampler(toy_task(split=False), 3, 2, 5)
