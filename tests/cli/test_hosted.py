"""`fewshot icl` with hosted models, against the stand-in for their servers."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.killing import kill_and_resume
from icl.fake import FakeServer

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KEY = "sk-sentinel-0123456789abcdef"
#: More of them, for whoever has the time: FEWSHOT_KILLS=50.
KILLS = int(os.environ.get("FEWSHOT_KILLS", "3"))
SMALL = ("--way", "2", "--shot", "2", "--query", "2", "--episodes", "3")


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    yield


def run_of(outcome: object) -> dict:
    assert outcome.code == 0, outcome.stderr  # type: ignore[attr-defined]
    return json.loads(outcome.stdout)  # type: ignore[attr-defined]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("method", ["auto", "generate", "structured", "logprobs", "decision"])
def test_run(fewshot: Callable, provider: str, method: str) -> None:
    with FakeServer() as server:
        outcome = fewshot(
            *("icl", "run", "-t", "sentiment-ko", "-m", f"{provider}:any", "--base-url", server.openai_url),
            *("--method", method, *SMALL, "--json"),
        )
        if provider == "anthropic" and method in ("logprobs", "decision"):
            assert outcome.code == 2
            assert "use --method generate" in outcome.stderr
            assert not Path("runs").exists()
            return
        document = run_of(outcome)
    assert document["non_ok_rate"] == 0
    assert document["usage"]["predict"]["requests"] == 12
    assert ("it writes its answers" in outcome.stderr) is (method == "auto")
    assert "not reproducible" in outcome.stderr


@pytest.mark.promise(40)
def test_offline_refuses_other_machines(fewshot: Callable) -> None:
    outcome = fewshot("--offline", "icl", "run", "-m", "openai:any", *SMALL)
    assert (outcome.code, "--offline forbids" in outcome.stderr) == (5, True)


@pytest.mark.promise(39)
def test_a_missing_key_leaves_no_folder(fewshot: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEWSHOT_OFFLINE", "0")
    outcome = fewshot("icl", "run", "-m", "anthropic:some-model", *SMALL)
    assert (outcome.code, "ANTHROPIC_API_KEY" in outcome.stderr) == (5, True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.promise(41)
def test_a_limit_leaves_a_run_that_can_be_resumed(fewshot: Callable, tmp_path: Path) -> None:
    with FakeServer() as server:
        asked = ("icl", "run", "-t", "sentiment-ko", "-m", "openai:any", "--base-url", server.openai_url, *SMALL)
        stopped = fewshot(*asked, "--max-requests", "5", "--no-cache")
        assert (stopped.code, "--max-requests 5 is reached" in stopped.stderr) == (6, True)
        (run,) = (tmp_path / "runs").iterdir()
        resumed = run_of(fewshot("icl", "run", "--resume", run, "--no-cache", "--json"))
        n_sent = len(server.requests)
        whole = run_of(fewshot(*asked, "--no-cache", "--json"))
    assert n_sent == 12
    assert (resumed["accuracy"], resumed["manifest_sha256"]) == (whole["accuracy"], whole["manifest_sha256"])
    assert resumed["usage"]["predict"]["requests"] == whole["usage"]["predict"]["requests"] == 12


@pytest.mark.promise(41)
def test_an_unknown_price_cannot_be_limited(fewshot: Callable) -> None:
    with FakeServer() as server:
        outcome = fewshot("icl", "run", "-m", "openai:any", "--base-url", server.openai_url, "--max-cost", "1", *SMALL)
        assert (outcome.code, "Use --max-requests" in outcome.stderr) == (2, True)
        priced = "openai:any,input_price=1,output_price=1"
        told = fewshot("icl", "run", "-m", priced, "--base-url", server.openai_url, "--max-cost", "1", *SMALL)
        assert (told.code, re.search(r"0\.00\d+ USD", told.stderr) is not None) == (0, True)


@pytest.mark.promise(37)
@pytest.mark.parametrize("status", [200, 400, 401, 429])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_key_that_is_echoed_is_nowhere(fewshot: Callable, tmp_path: Path, provider: str, status: int) -> None:
    encoded = [base64.b64encode(text.encode()).decode() for text in (KEY, f"Bearer {KEY}")]
    forms = [KEY, quote(KEY, safe=""), "".join(f"%{byte:02X}" for byte in KEY.encode()), *encoded]
    echo = " ".join(forms)
    body = {
        "error": {"message": echo, "code": echo, "type": echo},
        "choices": [{"finish_reason": "stop", "message": {"content": echo}}],
        "content": [{"type": "text", "text": echo}],
        "stop_reason": "end_turn",
        "model": echo,
    }
    if status == 200:
        del body["error"]
    secret = tmp_path / "secret"
    secret.write_text(KEY)
    with FakeServer([{"status": status, "headers": {"x-echo": echo}, "body": body, "repeat": 1000}]) as server:
        outcome = fewshot(
            *("icl", "run", "-t", "sentiment-ko", "-m", f"{provider}:any", "--base-url", server.openai_url),
            *("--key-file", secret, "--deadline", "0.5", *SMALL),
        )
    secret.unlink()
    files = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    written = f"{outcome.stdout} {outcome.stderr}".encode() + files
    assert outcome.code == (5 if status == 401 else 1), "nothing was answered"
    for form in forms:
        assert form.encode() not in written


def test_preview_and_predict(fewshot: Callable, tmp_path: Path) -> None:
    outcome = fewshot("icl", "preview", "-m", "openai:any", "--base-url", "http://127.0.0.1:1/v1", "-t", "sentiment-ko")
    assert outcome.code == 0, outcome.stderr
    assert "[user]" in outcome.stdout
    support = tmp_path / "support.csv"
    support.write_text("text,label\nI loved it,positive\nI hated it,negative\n")
    with FakeServer() as server:
        outcome = fewshot(
            *("icl", "predict", "-", "--support", support, "-m", "openai:any", "--base-url", server.openai_url),
            stdin="I loved that\nI hated that\n",
        )
    assert [json.loads(line)["label"] for line in outcome.stdout.splitlines()] == ["positive", "negative"]


@pytest.mark.promise(14)
@pytest.mark.e2e
def test_a_run_that_is_killed_again_and_again(tmp_path: Path) -> None:
    found = kill_and_resume(tmp_path, KILLS)
    assert (found.requests, found.lost, found.different) == (12 * KILLS, 0, 0)
    assert 0 <= found.repeated <= found.most_repeated


@pytest.mark.promise(15)
@pytest.mark.e2e
def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    with FakeServer() as server:
        held = server.hold_after(0)
        options = ["-t", "sentiment-ko", "-m", "openai:any", "--base-url", server.openai_url, "--no-cache", *SMALL]
        process = subprocess.Popen(
            [sys.executable, "-m", "fewshot", "icl", "run", *options],
            stderr=subprocess.PIPE,
            env={**os.environ, "FEWSHOT_OFFLINE": "1"},
            cwd=tmp_path,
        )
        assert process.stderr is not None
        while not held.wait(0.05):
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGINT)
        while b"second Ctrl-C stops at once" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130
    assert b"continue with --resume" in said
