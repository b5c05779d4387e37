"""`fewshot serve-fake`: one line that says how to use it, an end without noise, and clear refusals."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@contextmanager
def serving(*args: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "fewshot", "serve-fake", *map(str, args)]
    # A test run in the background ignores Ctrl-C, and would hand that down.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_serves_until_interrupted() -> None:
    with serving() as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(
            r"-m openai:any --base-url (http://127\.0\.0\.1:\d+)/v1  or  -m anthropic:any --base-url (\S+)\n", line
        )
        assert found is not None and found[1] == found[2], line
        with urllib.request.urlopen(f"{found[1]}/v1/models", timeout=200) as reply:
            assert json.load(reply)["data"][0]["id"] == "any"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=200) == ("", "")
        assert process.returncode == 0


def test_follows_a_script(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("- raw: scripted")
    with serving("--script", tmp_path / "s.yaml") as process:
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" ")[2].strip()
        with urllib.request.urlopen(f"{url}/v1/models", timeout=200) as reply:
            assert reply.read() == b"scripted"


def test_bad_script_and_port_in_use_are_one_clear_line(fewshot: Callable, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("- statsu: 500")
    refused = fewshot("serve-fake", "--script", tmp_path / "s.yaml")
    assert (refused.code, refused.stdout) == (2, "")
    assert "s.yaml:1: step 1: unknown key 'statsu'. Did you mean 'status'" in refused.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = fewshot("serve-fake", "--port", port)
    assert (refused.code, f"port {port} is in use" in refused.stderr) == (2, True)
