"""The same command gives the same answers, whatever the process: with PYTHONHASHSEED varied, sets come in any order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evals.results import MAIN
from evals.store import Store
from evals.types import Prediction
from icl.fake import FakeServer
from tests.comparing import assert_same_predictions

pytestmark = [pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.promise(42), pytest.mark.e2e]

SMALL = ("--way", "2", "--shot", "3", "--query", "2", "--selector", "mmr:encoder=lexical", "--demos", "4")


def answered_twice(folder: Path, *args: str) -> list[list[Prediction]]:
    """What the same run answers in two processes at once, which order sets differently."""
    folders = [folder / seed for seed in ("0", "1")]
    processes = [_start(folder, folder.name, *args) for folder in folders]
    said = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    return [_stored(folder) for folder in folders]


def _start(folder: Path, hash_seed: str, *args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fewshot", "icl", "run", *args, *SMALL, "--run-dir", str(folder)]
    environment = {"PYTHONHASHSEED": hash_seed, "FEWSHOT_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _stored(folder: Path) -> list[Prediction]:
    (run,) = folder.iterdir()
    with Store.read(run) as store:
        return [found for found, _ in store.predictions(MAIN)]


def test_a_hosted_model(tmp_path: Path) -> None:
    with FakeServer() as server:
        asked = ("-t", "sentiment-ko", "-m", "openai:any", "--base-url", server.openai_url, "--no-cache", "-n", "3")
        first, second = answered_twice(tmp_path, *asked)
    assert_same_predictions(first, second)
    assert len(first) == 3


@pytest.mark.models
def test_a_model_on_this_machine(tmp_path: Path) -> None:
    asked = ("-t", "sentiment-en", "-m", "smollm2", "--device", "cpu", "-n", "1")
    first, second = answered_twice(tmp_path, *asked)
    assert_same_predictions(first, second)
    assert all(answer.scores for found in first for answer in found.answers)
