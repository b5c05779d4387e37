"""A run that is killed at random requests and resumed, beside one that is left alone. Prints one JSON line.

    python benchmarks/killing.py [--kills N]

Each kill (SIGKILL) comes when the server has answered 1 to 11 more requests and left the next one waiting. The goals:
no answer differs, none is lost, and no request is repeated but those that were on their way when a kill came.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.store import Store
from evals.types import Answer
from icl.fake import FakeServer

CONCURRENCY = 4
#: Queries of an episode: 2 classes with 2 each.
_QUERIES = 4
_EPISODES_PER_KILL = 3
#: So few that there is something left to ask at every kill.
_MOST_REPLIES = _QUERIES * _EPISODES_PER_KILL - 1


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed.

    Attributes:
        kills: how often.
        requests: of the run that was left alone.
        repeated: requests beyond those, of all processes together.
        most_repeated: the most that can have been on their way.
        lost, different: answers that the other run has and this one lacks, or has otherwise.
    """

    kills: int
    requests: int
    repeated: int
    most_repeated: int
    lost: int
    different: int


def kill_and_resume(folder: Path, kills: int, seed: int = 5) -> Outcome:
    """Run once in peace, and once with kills; compare every answer.

    Args:
        folder: an empty one, where both runs are kept.
        kills: how often the second run is killed.
        seed: of the moments.
    """
    draw = random.Random(seed)
    options = ["--no-cache", "--concurrency", str(CONCURRENCY)]
    size = ["--way", "2", "--shot", "2", "--query", "2", "--episodes", str(_EPISODES_PER_KILL * kills)]
    begin = ["-t", "sentiment-ko", "-m", "openai:any", *size, *options]
    with FakeServer(keep=0) as calm, FakeServer(keep=0) as server:
        whole = _start(folder, *begin, "--base-url", calm.openai_url, "--run-dir", "whole")
        arguments = [*begin, "--base-url", server.openai_url, "--run-dir", "killed"]
        for _ in range(kills):
            held = server.hold_after(draw.randint(1, _MOST_REPLIES))
            _kill(_start(folder, *arguments), held)
            arguments = ["--resume", str(_only(folder / "killed")), *options]
        server.release()
        _finish(_start(folder, *arguments))
        _finish(whole)
        n_whole = calm.hits()
        repeated = server.hits() - n_whole
    expected, found = _answers(_only(folder / "whole")), _answers(_only(folder / "killed"))
    return Outcome(
        kills,
        n_whole,
        repeated,
        kills * CONCURRENCY,
        lost=len(expected.keys() - found.keys()),
        different=sum(found[problem] != expected[problem] for problem in expected.keys() & found.keys()),
    )


def _start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fewshot", "icl", "run", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "FEWSHOT_OFFLINE": "1"},
        cwd=folder,
    )


def _kill(process: subprocess.Popen[bytes], held: threading.Event) -> None:
    """Kill the process as soon as a request of its own waits."""
    while not held.wait(0.05):
        if process.poll() is not None:
            raise RuntimeError(f"the run ended by itself: {process.communicate()[1].decode()}")
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _finish(process: subprocess.Popen[bytes]) -> None:
    said = process.communicate()[1]
    if process.returncode:
        raise RuntimeError(said.decode())


def _only(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


def _answers(run: Path) -> dict[tuple[str, str], tuple[Answer, ...]]:
    """Every answer of every learner, with what the model wrote, by learner and problem."""
    with Store.read(run) as store:
        return {(name, found.problem_id): found.answers for name, found, _ in store.all_predictions()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    with tempfile.TemporaryDirectory() as folder:
        found = kill_and_resume(Path(folder), parser.parse_args().kills)
    print(json.dumps({"benchmark": "killing", **asdict(found)}))


if __name__ == "__main__":
    main()
