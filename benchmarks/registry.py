"""A registry of a million prototypes: the time of a query beside plain NumPy. Prints one JSON line.

    python benchmarks/registry.py [--classes 1000000] [--dimensions 384]

Prototypes are drawn on the sphere, where nothing is near anything: no index has it harder. Queries are half way to a
class each, and drawn like the classes ("far"). Plain NumPy is the product of the whole matrix with a query and a
partition; both find the same classes. Times are the shortest of several, in turns; CPU time is of all threads, and
tells more than the clock on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from classic.registry import PrototypeRegistry
from fewshot.encoders import Lexical

T = TypeVar("T")
_K, _QUERIES, _AT_ONCE, _GOAL_MS = 5, 12, 100_000, 50


class Took(NamedTuple):
    """Seconds by the clock, and of CPU."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, default=384)
    wanted = parser.parse_args()
    random = np.random.default_rng(0)
    matrix = random.standard_normal((wanted.classes, wanted.dimensions), dtype=np.float32)
    for first in range(0, wanted.classes, _AT_ONCE):
        matrix[first : first + _AT_ONCE] = _unit(matrix[first : first + _AT_ONCE])
    drawn = _unit(random.standard_normal((_QUERIES, wanted.dimensions), dtype=np.float32))
    queries = {"near": _unit(matrix[:_QUERIES] + drawn), "far": drawn}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.sqlite"
        added, _ = _timed(lambda: _fill(path, matrix))
        with PrototypeRegistry.open(path) as registry:
            loaded, _ = _timed(registry.load)
            registry.query(queries["far"][:1], _K)
            coded, _ = _timed(lambda: registry.query(queries["far"][:1], _K))
            found = {name: _measured(registry, matrix, asked) for name, asked in queries.items()}
            size = path.stat().st_size
    record = {
        "benchmark": "registry",
        "classes": wanted.classes,
        "dimensions": wanted.dimensions,
        "k": _K,
        "ms_per_query": {name: round(1e3 * ours.wall, 1) for name, (ours, _, _) in found.items()},
        "cpu_ms_per_query": {name: round(1e3 * ours.cpu, 1) for name, (ours, _, _) in found.items()},
        "plain_ms_per_query": {name: round(1e3 * plain.wall, 1) for name, (_, plain, _) in found.items()},
        "plain_cpu_ms_per_query": {name: round(1e3 * plain.cpu, 1) for name, (_, plain, _) in found.items()},
        "ratio_to_plain": {name: round(ours.wall / plain.wall, 2) for name, (ours, plain, _) in found.items()},
        "goal_ms": _GOAL_MS,
        "same_classes": all(same for _, _, same in found.values()),
        "cpu_seconds_to_add": round(added.cpu, 1),
        "cpu_seconds_to_load": round(loaded.cpu, 1),
        "cpu_seconds_to_code": round(coded.cpu, 1),
        "megabytes": round(size / 1e6),
    }
    print(json.dumps(record))


def _fill(path: Path, matrix: np.ndarray) -> None:
    with PrototypeRegistry.create(path, Lexical()) as registry:
        for first in range(0, len(matrix), _AT_ONCE):
            some = matrix[first : first + _AT_ONCE]
            registry.add({f"class {first + at}": some[at : at + 1] for at in range(len(some))})


def _measured(registry: PrototypeRegistry, matrix: np.ndarray, queries: np.ndarray) -> tuple[Took, Took, bool]:
    """Seconds of a query, of plain NumPy, and whether they found the same."""
    ours, plain, same = [], [], True
    for query in queries:
        took, (found,) = _timed(lambda query=query: registry.query(query[None], _K))
        ours.append(took)
        took, expected = _timed(lambda query=query: _plain(matrix, query))
        plain.append(took)
        same = same and [match.name for match in found.nearest] == [f"class {at}" for at in expected]
    return _least(ours), _least(plain), same


def _least(took: list[Took]) -> Took:
    return Took(min(each.wall for each in took), min(each.cpu for each in took))


def _plain(matrix: np.ndarray, query: np.ndarray) -> list[int]:
    similar = matrix @ query
    best = np.argpartition(similar, -_K)[-_K:]
    return best[np.argsort(-similar[best])].tolist()


def _timed(work: Callable[[], T]) -> tuple[Took, T]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu), done


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
