"""The learner: trained, saved, loaded, and used by its folder wherever a model is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.learner import Background, Context, MetaLearner
from evals.types import Status
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import NotTrusted, StorageError, UsageError
from icl.learner import ICLLearner
from icl.metaicl import MetaICL
from icl.metatrain.validation import Validation
from icl.metatrain.words import lexicon
from icl.models.local import LocalModel
from tests.icl.metatrain.toys import episodes

TRAIN, VALID = episodes("train"), episodes("valid", query=6)
SHORT = {"steps": 60, "batch": 16, "lr": 1e-2, "warmup": 5, "eval_every": 20, "words": "canonical", "examples": 8}


def learner(toy: Path, **options) -> MetaICL:
    given = {"model": str(toy), "templates": "minimal", "precision": "float32", "n_valid": 10, **SHORT, **options}
    return MetaICL(**given)


def accuracy(answering, n: int = 10) -> float:
    found = {episode.id: episode.gold for episode in VALID[10 : 10 + n]}
    problems = [episode.problem for episode in VALID[10 : 10 + n]]
    right = []
    for prediction in answering.predict(problems, Context(device="cpu")):
        assert all(answer.status is Status.OK for answer in prediction.answers)
        right += [a.decision == gold for a, gold in zip(prediction.answers, found[prediction.problem_id], strict=True)]
    return sum(right) / len(right)


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metaicl")
    found = learner(toy)
    found.meta_fit(TRAIN, VALID, Context(device="cpu"), folder)
    found.save(folder)
    return folder


def test_training_lifts_held_out_texts_from_chance(trained: Path, toy: Path) -> None:
    record = json.loads((trained / "learner.json").read_text())["training"]
    assert record["accuracy_before"] < 0.7
    assert record["valid_accuracy"] > 0.75
    assert accuracy(ICLLearner(model=f"hf:{toy}", calibrate="none", device="cpu")) < 0.7
    assert accuracy(MetaICL(from_=str(trained))) > 0.75


def test_the_folder_is_a_model_and_the_state_of_the_training_is_gone(trained: Path) -> None:
    assert accuracy(ICLLearner(model=f"hf:{trained}", calibrate="none", device="cpu")) > 0.75
    names = {path.name for path in trained.iterdir()}
    assert {"learner.json", "weights.json", "model.safetensors", "tokenizer.json", "curve.svg", "curve.csv"} <= names
    assert not any(name.startswith("training") for name in names)


def test_a_loaded_learner_is_the_one_that_was_saved(trained: Path, toy: Path) -> None:
    one = LEARNERS.build(f"metaicl:from={trained}")
    assert isinstance(one, MetaLearner)
    assert one.trained
    assert one.describe()["steps"] == SHORT["steps"]
    assert one.describe()["model"] == str(toy)
    with pytest.raises(UsageError, match="was trained with other arguments"):
        MetaICL(lr=0.5, from_=str(trained)).describe()


@pytest.mark.promise(49)
@pytest.mark.parametrize("calibrate", ["evil.py:Evil", "(evil.py:Evil)", "./evil.py:Evil:alpha=2"])
def test_a_trained_learner_runs_no_file_unasked(trained: Path, tmp_path: Path, calibrate: str) -> None:
    content = json.loads((trained / "learner.json").read_text(encoding="utf-8"))
    content["config"]["calibrate"] = calibrate
    (tmp_path / "learner.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(NotTrusted, match="run the Python file"):
        MetaICL(from_=str(tmp_path)).describe()
    assert MetaICL(from_=str(tmp_path), trust=True).describe()["calibrate"] == calibrate


def test_damaged_weights_are_told(trained: Path, tmp_path: Path) -> None:
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    raw = bytearray((tmp_path / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(raw)
    with pytest.raises(StorageError, match=r"model.safetensors is damaged: its SHA-256"):
        accuracy(ICLLearner(model=f"hf:{tmp_path}", device="cpu"), 1)


def test_the_channel_objective_is_tested_as_it_was_trained(toy: Path, tmp_path: Path) -> None:
    found = learner(toy, objective="channel")
    found.meta_fit(TRAIN, VALID, Context(device="cpu"), tmp_path)
    found.save(tmp_path)
    assert json.loads((tmp_path / "learner.json").read_text())["training"]["valid_accuracy"] > 0.8
    assert accuracy(MetaICL(from_=str(tmp_path)), 4) > 0.8


def test_untrained_and_unknown_are_told(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not trained\. Give from=FOLDER"):
        accuracy(learner(toy), 1)
    with pytest.raises(UsageError, match="holds no trained learner"):
        MetaICL(from_=str(tmp_path)).describe()
    with pytest.raises(UsageError, match="unknown kind of label words 'loud'"):
        MetaICL(words="loud")
    with pytest.raises(UsageError, match="unknown validation words 'loud'"):
        MetaICL(valid_words="canonical+loud")
    with pytest.raises(UsageError, match="n_valid 0 is too small"):
        MetaICL(n_valid=0)
    with pytest.raises(UsageError, match="there are no validation episodes"):
        learner(toy).meta_fit(TRAIN, [], Context(device="cpu"))


def test_an_interruption_does_not_spoil_an_evaluation(toy: Path) -> None:
    stopping = Context(device="cpu")
    stopping.cancel.set()
    asked = ICLLearner(model=LocalModel(str(toy), dtype="float32", device="cpu"), calibrate="none")
    found = [Validation(asked, VALID, ("canonical",), lexicon(), ctx).accuracies() for ctx in (Context(), stopping)]
    assert found[0] == found[1]
    assert found[0]["canonical"] > 0


def test_a_model_without_the_language_is_told(toy: Path) -> None:
    said: list[str] = []
    found = learner(toy, steps=1, eval_every=1, n_valid=1)
    found.prepare(Background(("다음 리뷰", "좋은 영화")), Context())
    found.meta_fit(TRAIN, VALID, Context(device="cpu", notify=said.append))
    assert any("hardly knows the language of these texts: 100.0% unknown tokens" in line for line in said)
