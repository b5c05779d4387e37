"""Peak memory where data are large. Prints one JSON line per measurement; each runs in a process of its own.

pool       knn among 100,000 examples, lexical encoder
episode    500 queries in one episode, embedded model
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

_WORDS = [
    "the",
    "a",
    "film",
    "was",
    "good",
    "bad",
    "long",
    "short",
    "story",
    "actor",
    "scene",
    "very",
    "not",
    "music",
    "light",
    "dark",
    "slow",
    "quick",
    "old",
    "new",
]


def text(number: int) -> str:
    """A distinct sentence of common words per number."""
    return f"{number} " + " ".join(_WORDS[(number // 7**power) % len(_WORDS)] for power in range(8))


def pool() -> None:
    """Select 8 demonstrations for each of 50 queries from 100,000 examples."""
    from evals.types import Example, Query
    from fewshot.core.catalog import SELECTORS
    from icl.selectors import Pool

    examples = tuple(Example(str(at), text(at), "ab"[at % 2]) for at in range(100_000))
    queries = [Query(f"q{at}", text(200_000 + at)) for at in range(50)]
    picked = SELECTORS.build("knn:encoder=lexical").select(queries, Pool(examples), 8)
    assert all(len(row) == 8 for row in picked)


def episode() -> None:
    """Score 500 queries with 10 demonstrations."""
    from evals.learner import Context
    from evals.types import Example, Label, Problem, Query, TaskInfo
    from icl.learner import ICLLearner

    labels = (Label("a", "first"), Label("b", "second"))
    support = tuple(Example(str(at), text(at), "ab"[at % 2]) for at in range(10))
    queries = tuple(Query(f"q{at}", text(100 + at)) for at in range(500))
    problem = Problem("p", TaskInfo("memory", "en", "classification"), labels, support, queries)
    (prediction,) = ICLLearner(readout="labels").predict([problem], Context())
    assert len(prediction.answers) == 500


def main() -> None:
    if len(sys.argv) > 1:
        started = time.perf_counter()
        {"pool": pool, "episode": episode}[sys.argv[1]]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        took = round(time.perf_counter() - started, 1)
        print(json.dumps({"benchmark": f"memory, {sys.argv[1]}", "peak_gb": round(peak, 2), "seconds": took}))
        return
    for name in ("pool", "episode"):
        subprocess.run([sys.executable, __file__, name], check=True)


if __name__ == "__main__":
    main()
