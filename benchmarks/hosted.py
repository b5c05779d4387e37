"""Hosted models, against the fake server in a process of its own. Prints one JSON line per measurement.

    python benchmarks/hosted.py [speed | memory | faults]

speed    1,000 requests, 64 at a time, 500 ms each, of both vendors: time over the ideal (goal: 1.15), CPU per request
memory   peak after 10,000 and after 100,000 requests in the same process (goal: no growth)
faults   a run through every kind of bad weather: what was injected, what was lost, where the key leaked (goals: 0)
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evals.learner import Context
from evals.store import Store
from evals.types import Example, Label, Problem, Query, Status, TaskInfo
from icl.fake import FakeServer
from icl.learner import ICLLearner
from icl.models.api.model import AnthropicModel, APIModel, OpenAIModel
from icl.models.base import GenerateRequest, Message, Prompt

VENDORS: dict[str, type[APIModel]] = {"openai": OpenAIModel, "anthropic": AnthropicModel}
KEY = "sk-sentinel-0123456789abcdef"


@contextmanager
def serving(latency: float = 0.0) -> Iterator[str]:
    """`fewshot serve-fake` in a process of its own. Yields its URL."""
    command = [sys.executable, "-m", "fewshot", "serve-fake", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().rpartition(" ")[2].strip()
        finally:
            process.terminate()


def speed() -> Iterator[dict[str, Any]]:
    """Time and CPU of 1,000 requests, once the first one has been answered."""
    n, concurrency, latency = 1000, 64, 0.5
    with serving(latency) as url:
        for vendor, kind in VENDORS.items():
            model = kind("any", base_url=f"{url}/v1", concurrency=concurrency)
            model.attend(Context())
            model.generate([request("first")])
            asked = [request(f"text {at}") for at in range(n)]
            started, cpu = time.perf_counter(), time.process_time()
            answers = model.generate(asked)
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            ideal = math.ceil(n / concurrency) * latency
            yield {
                "benchmark": "hosted speed",
                "provider": vendor,
                "requests": n,
                "concurrency": concurrency,
                "latency_ms": round(latency * 1000),
                "seconds": round(seconds, 2),
                "ideal_seconds": ideal,
                "ratio": round(seconds / ideal, 3),
                "goal": 1.15,
                "cpu_ms_per_request": round(cpu / n * 1000, 2),
                "ok": sum(answer.status is Status.OK for answer in answers),
            }


def request(text: str) -> GenerateRequest:
    """A prompt with two demonstrations."""
    shown = [("user", "I loved it"), ("assistant", "positive"), ("user", "I hated it"), ("assistant", "negative")]
    messages = [Message(role, content) for role, content in shown]  # type: ignore[arg-type]
    return GenerateRequest(Prompt(messages=(*messages, Message("user", text))), max_tokens=8)


def memory() -> Iterator[dict[str, Any]]:
    """Peak memory of a learner that answers one problem after the other, with cache and ledger on disk."""
    per_problem, steps = 10, (10_000, 100_000)
    peaks: dict[int, float] = {}
    started = time.perf_counter()
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        learner = ICLLearner(model=OpenAIModel("any", base_url=f"{url}/v1", concurrency=64))
        with Store.create(Path(folder) / "run", {}) as store:
            problems = (problem(at, per_problem) for at in range(steps[-1] // per_problem))
            answered = 0
            for prediction in learner.predict(problems, Context(ledger=store.ledger)):
                store.add_prediction("hosted", prediction)
                answered += len(prediction.answers)
                if answered in steps:
                    peaks[answered] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    few, many = (round(peaks[step], 1) for step in steps)
    yield {
        "benchmark": "hosted memory",
        "requests": list(steps),
        "peak_mib": [few, many],
        "growth": round(many / few, 3),
        "requests_per_second": round(steps[-1] / (time.perf_counter() - started)),
    }


def problem(number: int, n_queries: int) -> Problem:
    """Two labels, two demonstrations, and queries that no other problem has."""
    labels = (Label("positive", "positive"), Label("negative", "negative"))
    support = (Example("0", "I loved it", "positive"), Example("1", "I hated it", "negative"))
    queries = tuple(Query(f"q{at}", f"text {number} {at}") for at in range(n_queries))
    return Problem(f"problem {number}", TaskInfo("memory", "en", "classification"), labels, support, queries)


#: Faults that pass: whoever meets one is answered in the end.
PASSING: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (408, 409, 500, 502, 503, 504, 529)),
    {"status": 429, "headers": {"retry-after": "1"}},
    {"status": 429, "headers": {"retry-after-ms": "20"}},
    {"status": 429, "headers": {"retry-after": "soon"}},
    {"status": 429, "headers": {"retry-after": "-5"}},
    {"status": 503, "headers": {"x-should-retry": "false"}},
    {"status": 500, "raw": "<html>out of order</html>"},
    *({"raw": raw} for raw in ("<html>welcome</html>", "null", "[]", "{}", '{"error": {}}', '{"choices": [', "", "\0")),
    {"raw": b"\xff\xfe\xfa"},
    {"body": {"choices": [], "content": "text"}},
    {"body": {"choices": "none", "content": 7}},
    {"body": {"choices": [{"message": {"content": "positive"}}], "content": [{"type": "text", "text": "positive"}]}},
    {"cut_after_bytes": 0},
    {"cut_after_bytes": 40},
    {"delay_s": 60},
    {"stream": ["not an event"], "cut_after_bytes": 8},
)
_ECHO = {"error": {"message": "wrong key {authorization}", "code": "{authorization}"}}
#: Faults that do not pass by themselves, and what the query is reported as.
LASTING: tuple[tuple[Status, dict[str, Any]], ...] = (
    (Status.ERROR, {"status": 400}),
    (Status.ERROR, {"status": 413}),
    (Status.AUTH, {"status": 401, "body": _ECHO}),
    (Status.AUTH, {"status": 402}),
    (Status.AUTH, {"status": 429, "body": {"error": {"message": "no money", "code": "insufficient_quota"}}}),
    (Status.ERROR, {"status": 302, "headers": {"location": "http://127.0.0.2:9/v1?{authorization}"}}),
    (Status.RATE_LIMITED, {"status": 429, "headers": {"retry-after": "300"}}),
    (Status.RATE_LIMITED, {"status": 429, "headers": {"retry-after": "Thu, 01 Jan 2099 00:00:00 GMT"}}),
    (Status.CONTEXT_EXCEEDED, {"status": 400, "body": {"error": {"message": "m", "code": "context_length_exceeded"}}}),
    (Status.FILTERED, {"status": 400, "body": {"error": {"message": "m", "code": "content_filter"}}}),
)


def faults() -> Iterator[dict[str, Any]]:
    """A run of each vendor whose every fourth request or so meets a fault, and who tells about it."""
    n = 1000
    for vendor in VENDORS:
        kinds = [(None, fault) for fault in PASSING] + list(LASTING)
        calls = range(4, n, 4)
        plan = [kinds[at % len(kinds)] for at in range(len(calls))]
        steps = [{**fault, "match": {"call": call}} for call, (_, fault) in zip(calls, plan, strict=True)]
        with tempfile.TemporaryDirectory() as folder, FakeServer(steps, keep=0) as server:
            said = _run(Path(folder), vendor, server.openai_url, n)
            hits = server.hits()
            found = _statuses(Path(folder))
            leaks = _leaks(said, Path(folder))
        injected = plan[: sum(call <= hits for call in calls)]
        expected = Counter(status for status, _ in injected if status is not None)
        failed = Counter({status: count for status, count in found.items() if status is not Status.OK})
        yield {
            "benchmark": "hosted faults",
            "provider": vendor,
            "queries": n,
            "requests_sent": hits,
            "faults_injected": len(injected),
            "kinds_of_faults": len(kinds),
            "answered": found[Status.OK],
            "reported_as_failed": {str(status): count for status, count in sorted(failed.items())},
            "requests_lost": n - found.total() + (failed - expected).total() + (expected - failed).total(),
            "keys_leaked": leaks,
        }


def _run(folder: Path, vendor: str, url: str, n: int) -> bytes:
    """`fewshot icl run` with a key that is to be found nowhere afterwards. Returns what it printed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fewshot", "--debug", "icl", "run", "-t", "sentiment-ko", "-m", f"{vendor}:any"),
            *("--base-url", url, "--way", "2", "--shot", "2", "--query", "5", "--episodes", str(n // 10)),
            *("--concurrency", "16", "--timeout", "2", "--deadline", "60"),
        ],
        capture_output=True,
        cwd=folder,
        env={**os.environ, "FEWSHOT_CACHE": str(folder / "cache"), f"{vendor.upper()}_API_KEY": KEY},
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return done.stdout + done.stderr


def _statuses(folder: Path) -> Counter[Status]:
    """How the queries of the run came out."""
    (run,) = (folder / "runs").iterdir()
    with Store.read(run) as store:
        return Counter(answer.status for found, _ in store.predictions("main") for answer in found.answers)


def _leaks(said: bytes, folder: Path) -> int:
    """In how many places the key is to be found: screen, files, in each way to write it."""
    forms = [KEY.encode(), quote(KEY, safe="").encode(), base64.b64encode(KEY.encode()), KEY.encode().hex().encode()]
    written = [said, *(file.read_bytes() for file in folder.rglob("*") if file.is_file())]
    return sum(any(form in content for form in forms) for content in written)


MEASUREMENTS = {"speed": speed, "memory": memory, "faults": faults}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one thing, or everything in a process of its own each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", nargs="?", choices=MEASUREMENTS)
    chosen = parser.parse_args(arguments).measurement
    if chosen is None:
        for name in MEASUREMENTS:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FEWSHOT_CACHE"] = cache
        for record in MEASUREMENTS[chosen]():
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
