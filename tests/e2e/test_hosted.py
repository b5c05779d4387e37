"""Hosted models as a user asks them: server and client are processes of their own on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from evals.episode import EpisodeSampler
from evals.learner import Context
from evals.loading import load_task
from fewshot.core.embedded import locate
from fewshot.core.errors import UsageError
from icl.learner import ICLLearner
from icl.models.api.model import OpenAIModel

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"])]

SMALL = ("-t", "sentiment-ko", "--way", "2", "-n", "3")


@contextmanager
def process(*command: object) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*map(str, command)], env=environment, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def stand_in() -> Iterator[str]:
    """`fewshot serve-fake`. Yields its URL."""
    with process(sys.executable, "-m", "fewshot", "serve-fake") as server:
        assert server.stdout is not None
        yield server.stdout.readline().rpartition(" ")[2].strip()


def fewshot(folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FEWSHOT_CACHE": str(folder / "cache"), "FEWSHOT_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fewshot", *map(str, args)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_run(provider: str, tmp_path: Path) -> None:
    with stand_in() as url:
        asked = ("icl", "run", *SMALL, "-m", f"{provider}:any", "--base-url", f"{url}/v1", "--json")
        first, again = fewshot(tmp_path, *asked), fewshot(tmp_path, *asked)
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    document = json.loads(first.stdout)
    assert (document["complete"], document["non_ok_rate"], document["n_queries"]) == (True, 0, 30)
    assert document["accuracy"] == json.loads(again.stdout)["accuracy"]
    assert "used: 30 requests" in first.stderr
    assert "used: 0 requests" in again.stderr


def test_compare_with_local_learners(tmp_path: Path) -> None:
    with stand_in() as url:
        hosted = f"icl:model=(openai:any,base_url={url}/v1)"
        learners = ("-l", hosted, "-l", "tfidf", "-l", "probe:encoder=lexical")
        done = fewshot(tmp_path, "compare", *SMALL, "--shot", "1,5", *learners, "--json")
    assert done.returncode == 0, done.stderr
    for name in (hosted, "tfidf", "probe:encoder=lexical"):
        assert name in done.stdout


@pytest.mark.models
@pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="needs fastapi and uvicorn")
def test_the_server_of_transformers() -> None:
    """Another server of the same protocol writes what the same model writes here."""
    sampler = EpisodeSampler.of(load_task("sentiment-en"), 2, 1, 2, 0, None, "test")
    problems = [sampler[0].problem]
    model, port = locate("smollm2"), _free_port()
    answered = []
    with process(Path(sys.executable).with_name("transformers"), *_serve(model, port)) as server:
        # While the server starts.
        here = list(ICLLearner("smollm2", method="generate", format="chat").predict(problems, Context(device="cpu")))
        _await(server, f"http://127.0.0.1:{port}/health")
        for api in ("chat", "responses"):
            hosted = OpenAIModel(str(model), base_url=f"http://127.0.0.1:{port}/v1", api=api, cache=False)
            answered.append(list(ICLLearner(hosted).predict(problems, Context())))
        with pytest.raises(UsageError, match="answered without log-probabilities"):
            list(ICLLearner(hosted, method="logprobs").predict(problems, Context()))
    for found in answered:
        assert [prediction.answers for prediction in found] == [prediction.answers for prediction in here]


def _serve(model: Path | None, port: int) -> Sequence[object]:
    return ("serve", model, "--host", "127.0.0.1", "--port", port, "--device", "cpu", "--dtype", "float32")


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def _await(server: subprocess.Popen[str], url: str) -> None:
    """Until the server answers or ends; the test's own time limit ends the wait."""
    while server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=60).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server ended with {server.returncode}")
