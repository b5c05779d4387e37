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

pytestmark = [pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.promise(42), pytest.mark.e2e]

SMALL = ("--way", "2", "--shot", "3", "--query", "2", "--selector", "mmr", "--demos", "4")


def answered(folder: Path, hash_seed: str, *args: str) -> list[Prediction]:
    """What a run answers and how it came about, without what it took."""
    command = [sys.executable, "-m", "fewshot", "icl", "run", *args, *SMALL, "--run-dir", str(folder)]
    environment = {"PYTHONHASHSEED": hash_seed, "FEWSHOT_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True)
    (run,) = folder.iterdir()
    with Store.read(run) as store:
        return [Prediction(found.problem_id, found.answers, {}, found.trace) for found, _ in store.predictions(MAIN)]


def test_a_hosted_model(tmp_path: Path) -> None:
    with FakeServer() as server:
        asked = ("-t", "sentiment-ko", "-m", "openai:any", "--base-url", server.openai_url, "--no-cache", "-n", "3")
        first, second = (answered(tmp_path / seed, seed, *asked) for seed in ("0", "1"))
    assert first == second
    assert len(first) == 3


@pytest.mark.models
def test_a_model_on_this_machine(tmp_path: Path) -> None:
    asked = ("-t", "sentiment-en", "-m", "smollm2", "--device", "cpu", "-n", "1")
    first, second = (answered(tmp_path / seed, seed, *asked) for seed in ("0", "1"))
    assert first == second
    assert all(answer.scores for found in first for answer in found.answers)
