"""Images from the command line: trained on, tested on, labelled, and refused where texts are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.comparison.contestants import contestants, why_left_out
from evals.comparison.study import Study
from evals.learner import for_task
from evals.loading import load_task
from fewshot.core.catalog import LEARNERS
from tests.evals.images.pictures import files, picture, png, write_folder, write_zip

CONV4 = "conv4:filters=4,size=16"
QUICK = ("--encoder", CONV4, "--steps", "2")
SMALL = "eval_every=1,meta_batch=2,n_valid=2,train_query=2"
EPISODES = ("--way", "2", "--shot", "1", "--query", "2")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip file with classes for training, validation and test."""
    content = {}
    for part, first in (("train", 0), ("val", 4), ("test", 7)):
        content |= files(3, 12, prefix=f"pets/{part}/{part}", first=first)
    return write_zip(tmp_path_factory.mktemp("images") / "pets.zip", content)


def test_a_network_is_trained_on_images_and_used_again(fewshot: Callable, pets: Path, tmp_path: Path) -> None:
    folder, runs = tmp_path / "learner", ("--run-dir", tmp_path / "runs", "-n", 5, "--json")
    done = fewshot(
        "classic", "train", "-t", pets, "-a", f"protonet:{SMALL}", *QUICK, "--way", 2, "--shot", 1, "-o", folder
    )
    assert done.code == 0, done.stderr
    done = fewshot("classic", "run", "-t", pets, "--from", folder, *EPISODES, *runs)
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document["baselines"]) == {"chance", "majority", "pixels"}
    resumed = fewshot("classic", "run", "--resume", document["run_dir"], "--json")
    assert json.loads(resumed.stdout) == document
    done = fewshot("classic", "predict", pets, "--support", pets, "--from", folder)
    assert done.code == 0, done.stderr


@pytest.mark.parametrize(("learner", "encoder"), [("prototypes", "pixels"), ("probe", "pixels"), ("protonet", "conv4")])
def test_where_no_encoder_is_named_it_is_one_that_reads_images(learner: str, encoder: str, pets: Path) -> None:
    task = load_task(pets)
    settled = for_task(LEARNERS.build(learner), task.info, task.labels)
    assert settled.describe()["encoder"] == encoder


def test_new_images_are_labelled_by_their_names(fewshot: Callable, pets: Path, tmp_path: Path) -> None:
    new = {f"{kind}_{n}.png": png(picture(kind, 20 + n)) for kind in range(3) for n in range(2)}
    write_folder(tmp_path, new | {"torn.png": b"no image"})
    done = fewshot(
        "classic", "predict", tmp_path, "--support", write_zip(tmp_path / "s.zip", files()), "-a", "prototypes"
    )
    assert done.code == 0, done.stderr
    rows = {row["image"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name: row["label"] for name, row in rows.items()} == {
        **{name: f"class{name[0]}" for name in new},
        "torn.png": None,
    }
    assert "torn.png: not a readable image" in done.stderr


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a prompt": (("icl", "run", "-t", "IMAGES"), "icl reads texts"),
    "a preview": (("icl", "preview", "-t", "IMAGES"), "a prompt reads texts"),
    "a selector": (("icl", "select", "-t", "IMAGES"), "a selector reads texts"),
    "fine-tuning": (("classic", "run", "-t", "IMAGES", "-a", "finetune"), "finetune reads texts"),
    "an encoder of texts": (("classic", "run", "-t", "IMAGES", "-a", "nn"), "nn reads texts"),
    "a network of texts": (("classic", "run", "-t", "IMAGES", "--encoder", "cnn"), "'cnn' reads texts"),
    "a recommendation": (("recommend", "IMAGES"), "recommend reads texts"),
    "pixels on texts": (
        ("classic", "run", "-t", "intents-en", "-a", "prototypes", "--encoder", "pixels"),
        "'pixels' reads images, and task 'intents-en' is of texts",
    ),
    "conv4 on texts": (("classic", "run", "-t", "intents-en", "--encoder", "conv4"), "'conv4' reads images"),
    "images by texts": (
        ("classic", "predict", "IMAGES", "--support", "intents-en", "-a", "prototypes"),
        "holds images, and intents-en is a task of texts",
    ),
    "columns": (("classic", "run", "-t", "IMAGES", "--label", "x"), "--label say how texts are read"),
}


@pytest.mark.parametrize(("command", "told"), REFUSED.values(), ids=REFUSED)
def test_what_reads_texts_refuses_images_in_one_line(
    fewshot: Callable, command: tuple[str, ...], told: str, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fewshot(*(str(pets) if part == "IMAGES" else part for part in command))
    assert done.code == 2
    (line,) = [line for line in done.stderr.splitlines() if "error:" in line]
    assert told in line
    assert not list(tmp_path.rglob("run.sqlite"))


def test_a_comparison_leaves_out_what_reads_texts(pets: Path) -> None:
    task, named = load_task(pets), ["prototypes:encoder=pixels", "finetune"]
    found = {each.name: why_left_out(each, task, Study(task="pets")) for each in contestants(named)}
    assert {name for name, why in found.items() if why} == {"nn", "tfidf", "finetune"}
    assert found["nn"] == "it reads texts, and pets is of images"


@pytest.mark.data
def test_omniglot_is_read_from_its_own_zip_files(fewshot: Callable) -> None:
    done = fewshot("tasks", "show", "omniglot", "--json")
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["class_splits"]["alphabets"] == {"train": 4 * 163, "valid": 22, "test": 57}
    assert document["notes"] == []
