"""Validity: sinusoid regression by MAML, FOMAML and Reptile beside joint training and a reference implementation.

    python benchmarks/sinusoid.py                      every method, K = 5 and 10, five seeds: one JSON line each
    python benchmarks/sinusoid.py --seeds 1 --iterations 500 --methods maml --shots 10

The network is 1-40-40-1 with ReLU; 25 tasks per meta-step, Adam 1e-3; one inner step in training, rate 0.01 (Reptile:
see `METHODS`). Tested on 600 tasks by the error on 100 even points after 0, 1, 5 and 10 steps on K points. A task
diverges when its error is not finite or exceeds 100 times max(1, error before adapting); the mean leaves such tasks
out and counts them, the median is over all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from classic.algorithms.maml import MAML
from classic.algorithms.reptile import Reptile
from classic.functional.executors import Executor, build_executor
from classic.training.sinusoid import METHODS, STEPS, errors, held_out, predictions, train

if TYPE_CHECKING:
    from classic.functional.base import Params

#: Mean error after 0, 1, 5 and 10 steps of an independent NumPy implementation, one or two seeds, trained with K = 10
#: and rate 0.01. None where it has no figure; 10 steps of MAML at K = 5 diverge on a few tasks.
REFERENCE: dict[tuple[str, int], list[list[float | None]]] = {
    ("pretrained", 10): [[3.00, 2.31, 1.87, 1.66]],
    ("pretrained", 5): [[3.00, 2.27, 2.05, 1.97]],
    ("maml", 10): [[3.67, 0.899, 0.586, 0.501], [3.06, 0.782, 0.453, 0.367]],
    ("maml", 5): [[3.60, 1.163, 0.924, 0.848]],
    ("fomaml", 10): [[3.17, 0.456, 0.167, 0.135], [6.97, 0.735, 0.228, 0.182]],
    ("fomaml", 5): [[None, 0.752, 0.418, 0.376], [None, 1.147, 0.631, 0.570]],
}


#: How its figures came about: it trained longer than we do, always with K = 10, and tests on as many tasks of its own.
REFERENCE_PROTOCOL = {"iterations": 70_000, "trained_with": 10, "tasks": 600}


@dataclass(frozen=True)
class Errors:
    """Test errors after some number of steps: mean of the tasks that converged, median of all, how many diverged."""

    mean: float
    median: float
    diverged: int


def test(method: MAML | Reptile, params: Params, shot: int) -> dict[int, Errors]:
    """Errors on the test waves after each number of steps."""
    waves = held_out(shot)
    found = errors(predictions(method, params, waves), waves)
    return {
        steps: Errors(squared[~diverged].mean().item(), squared.nanmedian().item(), int(diverged.sum()))
        for steps, (squared, diverged) in found.items()
    }


def measure(name: str, shot: int, seeds: int, iterations: int, executor: Executor) -> dict[str, Any]:
    """Train and test one method with several seeds."""
    method, seconds, results = METHODS[name], [], []
    for seed in range(seeds):
        started = time.perf_counter()
        params = train(method, shot, seed, iterations, executor)
        seconds.append(time.perf_counter() - started)
        results.append(test(method, params, shot))
    return {
        "benchmark": "sinusoid",
        "method": method.describe() | {"name": name},
        "shot": shot,
        "iterations": iterations,
        "seeds": seeds,
        "executor": executor.name,
        "seconds_per_training": round(fmean(seconds), 1),
        "mse": {steps: _over_seeds([result[steps] for result in results]) for steps in STEPS},
        "reference_mse": REFERENCE.get((name, shot)),
        "reference_protocol": REFERENCE_PROTOCOL,
    }


def _over_seeds(errors: Sequence[Errors]) -> dict[str, Any]:
    """Mean over the training seeds, which differ more than test tasks do, with every seed's value beside it."""
    return {
        "mean": round(fmean(each.mean for each in errors), 3),
        "seeds": [round(each.mean, 3) for each in errors],
        "median": round(fmean(each.median for each in errors), 3),
        "diverged": sum(each.diverged for each in errors),
    }


def main() -> None:
    """Print one JSON line per method and K."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--shots", nargs="+", type=int, default=[5, 10], help="K: points of a task (default: 5 10)")
    parser.add_argument("--seeds", type=int, default=5, help="trainings per method and K (default: 5)")
    parser.add_argument("--iterations", type=int, default=15_000, help="meta-steps of a training (default: 15000)")
    parser.add_argument(
        "--executor", default="captured", help="loop, vmap (needs no compiler) or captured (the default)"
    )
    options = parser.parse_args()
    for name in options.methods:
        for shot in options.shots:
            executor = build_executor(options.executor)
            print(json.dumps(measure(name, shot, options.seeds, options.iterations, executor)), flush=True)


if __name__ == "__main__":
    main()
