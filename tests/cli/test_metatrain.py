"""`fewshot icl metatrain`, with a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.icl.models.conftest import save_tiny

QUICK = "batch=2,examples=4,eval_every=2,n_valid=1,max_length=200,train_way=2,precision=float32"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "llama")


def test_what_is_trained_is_a_model_by_its_folder(fewshot: Callable, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("-m", tiny, "--train", "intents-en", "--valid", "sentiment-en", "--way", "2", "--shot", "1")
    done = fewshot(
        "icl", "metatrain", *arguments, "--words", "canonical", "--steps", "2", "--options", QUICK, "-o", out
    )
    assert done.code == 0, done.stderr
    assert "accuracy on validation episodes" in done.stdout
    assert "next: fewshot icl run -m" in done.stderr
    document = json.loads((out / "learner.json").read_text())
    assert document["config"]["train_way"] == 2
    assert {"canonical"} == set(document["training"]["parts"])
    run = ("-m", out, "--way", "2", "--shot", "1", "--query", "1", "-n", "1", "--run-dir", tmp_path / "runs", "--json")
    refused = fewshot("icl", "run", "-t", "sentiment-en", *run)
    assert refused.code == 2
    assert "icl was trained or validated on 2 of the 2 classes of sentiment-en" in refused.stderr
    used = fewshot("icl", "run", "-t", "sentiment-ko", *run)
    assert used.code == 0, used.stderr
    assert json.loads(used.stdout)["learner"] == "icl"
    again = fewshot("icl", "metatrain", *arguments, "-o", out)
    assert again.code == 2
    assert "already holds a trained model" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name the tasks to be trained on"),
        (("--train", "intents-en", "--words", "loud"), "unknown kind of label words 'loud'"),
        (("--train", "intents-en", "--options", "speed=3"), "unknown parameter of learner 'metaicl'"),
    ],
    ids=["no tasks", "unknown words", "unknown argument"],
)
def test_bad_requests_are_told(
    fewshot: Callable, tiny: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = fewshot("icl", "metatrain", "-m", tiny, *arguments, "-o", tmp_path / "out")
    assert done.code == 2
    assert message in done.stderr
