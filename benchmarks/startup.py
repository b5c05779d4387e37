"""How long a user waits before anything happens. Prints one JSON line per measurement.

help         `fewshot --help`, against `python -c pass`
warm start   the embedded model from the cache to its first score, imports included
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

_WARM = """
from icl.models.base import Prompt, ScoreRequest
from icl.models.local import smollm2
smollm2().score([ScoreRequest(Prompt("a"), (" b",))])
"""


def seconds(*command: str, repeats: int) -> float:
    """Median wall-clock seconds of a command."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    bare = seconds(sys.executable, "-c", "pass", repeats=5)
    helped = seconds(sys.executable, "-m", "fewshot", "--help", repeats=5)
    print(json.dumps({"benchmark": "help", "seconds": round(helped, 3), "bare_python_seconds": round(bare, 3)}))
    imports = seconds(sys.executable, "-c", "import torch, transformers", repeats=3)
    warm = seconds(sys.executable, "-c", _WARM, repeats=3)
    print(json.dumps({"benchmark": "warm start", "seconds": round(warm, 2), "imports_seconds": round(imports, 2)}))


if __name__ == "__main__":
    main()
