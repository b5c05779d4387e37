"""`fewshot classic`, with the lexical encoder: no model is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

QUICK = "protonet:encoder=lexical,steps=10,eval_every=5,meta_batch=2,n_valid=10,hidden=8,train_way=5"
EPISODES = ("--way", "3", "--shot", "2", "--query", "2", "-n", "5")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on the training classes of intents-en."""
    from typer.testing import CliRunner

    from fewshot.cli.classic import app

    folder = tmp_path_factory.mktemp("classic") / "protonet"
    done = CliRunner().invoke(
        app, ["train", "-a", QUICK, "-t", "intents-en", "--way", "3", "--shot", "2", "-o", str(folder)]
    )
    assert done.exit_code == 0, done.output
    assert "best at step" in done.stdout
    assert "step 5/10: loss" in done.stderr
    return folder


def test_train_writes_the_learner_and_its_curve(trained: Path) -> None:
    assert json.loads((trained / "learner.json").read_text())["learner"] == "protonet"
    assert (trained / "curve.svg").read_text().startswith("<svg")


def test_run_uses_what_was_trained_and_stands_beside_baselines(
    fewshot: Callable, trained: Path, tmp_path: Path
) -> None:
    done = fewshot("classic", "run", "--from", trained, "-t", "intents-en", *EPISODES, "--run-dir", tmp_path, "--json")
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["learner"] == "protonet"
    assert set(document["baselines"]) == {"chance", "majority", "nn", "tfidf", "prototypes"}
    assert document["accuracy"]["mean"] > document["chance"]
    resumed = fewshot("classic", "run", "--resume", document["run_dir"], "--json")
    assert json.loads(resumed.stdout) == document


@pytest.mark.promise(71)
def test_what_it_was_trained_on_is_not_tested(fewshot: Callable, trained: Path, tmp_path: Path) -> None:
    for command in (("classic", "run", "--from", trained), ("compare", "-l", f"protonet:from={trained}")):
        count = ("--way", "3", "--shot", "2", "--query", "2", "--class-split", "all", "--run-dir", tmp_path)
        done = fewshot(*command, "-t", "intents-en", *count)
        assert done.code == 2
        assert "protonet was trained or validated on" in done.stderr
        assert "classes of intents-en (" in done.stderr
    assert not list(tmp_path.rglob("run.sqlite"))


@pytest.mark.data
@pytest.mark.promise(71)
def test_banking77_trained_on_one_class_split_is_not_tested_on_another(fewshot: Callable, tmp_path: Path) -> None:
    folder, task = tmp_path / "protonet", ("-t", "banking77", "--way", "5", "--shot", "1")
    learner = "protonet:encoder=lexical,steps=2,eval_every=1,meta_batch=1,n_valid=2,hidden=8"
    done = fewshot("classic", "train", "-a", learner, *task, "--class-split", "01", "-o", folder)
    assert done.code == 0, done.stderr
    assert (folder / "trained_on.json").stat().st_size < 200_000
    tested = ("classic", "run", "--from", folder, *task, "--query", "1", "-n", "2", "--run-dir", tmp_path / "runs")
    done = fewshot(*tested, "--class-split", "01")
    assert done.code == 0, done.stderr
    assert "cannot be checked" not in done.stderr
    done = fewshot(*tested, "--class-split", "02")
    assert done.code == 2
    assert "of the 27 classes of banking77 (" in done.stderr
    assert "--class-split 01" in done.stderr


def test_run_trains_first_and_a_resumed_run_does_not_train_again(fewshot: Callable, tmp_path: Path) -> None:
    done = fewshot("classic", "run", "-a", QUICK, "-t", "intents-en", *EPISODES, "--run-dir", tmp_path, "--json")
    assert done.code == 0, done.stderr
    assert "step 10/10" in done.stderr
    document = json.loads(done.stdout)
    resumed = fewshot("classic", "run", "--resume", document["run_dir"], "--json")
    assert json.loads(resumed.stdout) == document
    assert "step 10/10" not in resumed.stderr


def test_run_of_a_learner_without_training(fewshot: Callable, tmp_path: Path) -> None:
    arguments = ("-a", "prototypes", "--encoder", "lexical", "-t", "intents-en", *EPISODES, "--run-dir", tmp_path)
    done = fewshot("classic", "run", *arguments)
    assert done.code == 0, done.stderr
    assert "prototypes" in done.stdout
    assert list(tmp_path.iterdir())


def test_predict_labels_new_texts(fewshot: Callable, trained: Path, tmp_path: Path) -> None:
    support = tmp_path / "support.csv"
    support.write_text(
        "text,label\nturn on the lights,light\nlights off please,light\nplay a song,music\nstop the music,music\n"
    )
    done = fewshot("classic", "predict", "-", "--from", trained, "--support", support, stdin="lights on\nplay music\n")
    assert done.code == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["label"] for line in lines] == ["light", "music"]
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_cross_task_training_names_what_it_drops(fewshot: Callable, tmp_path: Path) -> None:
    arguments = ("--train", "intents-en", "--test", "sentiment-en", "--shot", "2", "--out", tmp_path / "out", "--json")
    done = fewshot("classic", "train", "-a", QUICK, *arguments)
    assert done.code == 0, done.stderr
    assert "intents-en: 0 training texts occur in sentiment-en and are left out" in done.stderr
    assert json.loads(done.stdout)["training"]["steps"] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-t", "sentiment-en", "-a", QUICK), "has no training classes"),
        (("-a", "prototypes"), "is not meta-trained; run it at once"),
        (("-a", "protonett"), "protonet"),
        (("-a", "protonet:distnce=cosine"), "distance"),
        (("-a", QUICK, "--shot", "500"), "lower --shot"),
    ],
    ids=["no train classes", "nothing to train", "algorithm", "parameter", "shot larger than a class"],
)
def test_what_cannot_be_trained_is_told(fewshot: Callable, tmp_path: Path, arguments: tuple, message: str) -> None:
    done = fewshot("classic", "train", "--out", tmp_path / "out", *arguments)
    assert done.code == 2
    assert message in done.stderr


def test_a_trained_learner_is_not_written_over(fewshot: Callable, trained: Path) -> None:
    done = fewshot("classic", "train", "-a", QUICK, "--out", trained)
    assert done.code == 2
    assert "already holds a trained learner" in done.stderr


def test_another_learner_than_the_folder_holds_is_refused(fewshot: Callable, trained: Path, tmp_path: Path) -> None:
    done = fewshot("classic", "run", "-a", "maml", "--from", trained, "--run-dir", tmp_path)
    assert done.code == 2
    assert "holds a trained 'protonet', not 'maml'" in done.stderr
