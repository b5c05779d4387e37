"""Speed and memory of the meta-learning core. One JSON line per measurement.

    python benchmarks/meta.py                    all measurements on the CPU, two threads
    python benchmarks/meta.py --device cuda
    python benchmarks/meta.py --only frozen --repeats 5

maml        One meta-gradient of MAML: 32 tasks, 5-way 1-shot, 3 queries per class, 5 second-order steps, MLP
            384-64-64-5, by every executor and by the loop that the libraries of the field write: clone,
            torch.autograd.grad with create_graph, one backward per task. Gradients are compared before times are taken.
frozen      600 episodes, 5-way 5-shot, 5 queries per class, of learners on a frozen encoder whose vectors are cached,
            from drawing them to the stored predictions and the result. Goal: 1.5 s with prototypes, 5 s with the probe,
            which fits a classifier per episode.
memory      Peak memory of one meta-gradient: at growing meta-batch sizes, in chunks of 8 tasks and in one piece; of
            MAML and of implicit MAML with 5 and with 50 inner steps.

Times are the smallest and the median of the repeats, after the first call, which is reported apart.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from classic.algorithms.imaml import IMAML
from classic.algorithms.maml import MAML
from classic.functional.base import TensorTask
from classic.functional.executors import CapturedExecutor, build_executor
from classic.networks import MLP, Headed
from evals.episode import EpisodeSampler
from evals.learner import Context
from evals.loading import load_task
from evals.runner import run
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import ModelUnavailable

if TYPE_CHECKING:
    from classic.functional.base import Params

WAY, QUERIES, FEATURES, HIDDEN, STEPS, RATE = 5, 15, 384, 64, 5, 0.1

MAML_5 = MAML(
    Headed(MLP(FEATURES, (HIDDEN, HIDDEN), activate_last=True), start="learned", outputs=WAY),
    inner_lr=RATE,
    inner_steps=STEPS,
)


def tasks(n: int, device: str) -> TensorTask:
    """5-way 1-shot tasks with 3 queries per class, of random vectors."""
    import torch

    generator = torch.Generator().manual_seed(0)
    y = torch.arange(WAY).expand(n, -1)
    query_y = torch.arange(WAY).repeat(QUERIES // WAY).expand(n, -1)
    batch = TensorTask(
        torch.randn(n, WAY, FEATURES, generator=generator),
        y,
        torch.ones(n, WAY),
        torch.randn(n, QUERIES, FEATURES, generator=generator),
        query_y,
        torch.ones(n, QUERIES),
        torch.ones(n, WAY),
    )
    return TensorTask(*(field.to(device) for field in batch))


def parameters(device: str) -> Params:
    """Meta-parameters of the network."""
    import torch

    return {name: value.to(device) for name, value in MAML_5.init(torch.Generator().manual_seed(0)).items()}


def library_loop(params: Params, batch: TensorTask) -> Params:
    """MAML as a Python loop over tasks, in the manner of learn2learn. Returns the mean meta-gradient."""
    import torch
    from torch.nn.functional import cross_entropy

    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    n_tasks = len(batch.support_x)
    for at in range(n_tasks):
        fast = {name: value.clone() for name, value in leaves.items()}
        for _ in range(STEPS):
            loss = cross_entropy(MAML_5.network.apply(fast, batch.support_x[at]), batch.support_y[at])
            slopes = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
            fast = {name: value - RATE * slope for (name, value), slope in zip(fast.items(), slopes, strict=True)}
        loss = cross_entropy(MAML_5.network.apply(fast, batch.query_x[at]), batch.query_y[at])
        (loss / n_tasks).backward()
    return {name: value.grad for name, value in leaves.items() if value.grad is not None}


def timed(function: Callable[[], object], repeats: int, device: str) -> dict[str, float]:
    """Milliseconds of the first call and of the others."""
    import torch

    def once() -> float:
        started = time.perf_counter()
        function()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - started)

    first, times = once(), [once() for _ in range(repeats)]
    return {"ms": round(min(times), 2), "ms_median": round(median(times), 2), "first_call_ms": round(first, 1)}


def measure_maml(device: str, repeats: int) -> Iterator[dict[str, Any]]:
    """The library loop and every executor on the same tasks."""
    params, batch = parameters(device), tasks(32, device)
    expected = library_loop(params, batch)
    shape = {
        "benchmark": "meta",
        "measurement": "maml",
        "tasks": 32,
        "way": WAY,
        "shot": 1,
        "queries_per_class": QUERIES // WAY,
        "steps": STEPS,
    }
    yield shape | {"executor": "library loop"} | timed(lambda: library_loop(params, batch), repeats, device)
    for name in ("loop", "vmap", "captured"):
        try:
            executor = build_executor(name)
        except ModelUnavailable as error:
            yield shape | {"executor": name, "skipped": str(error)}
            continue
        run = partial(executor.meta_gradient, MAML_5, params, batch)
        times, error = timed(run, repeats, device), _difference(run()[0], expected)
        record = {"executor": name, "greatest_difference": error}
        if isinstance(executor, CapturedExecutor):
            record["compile_seconds"] = round(executor.compile_seconds, 1)
        yield shape | record | times


def _difference(found: Params, expected: Params) -> float:
    return max((found[name] - expected[name]).abs().max().item() for name in expected)


def measure_frozen(device: str, repeats: int) -> Iterator[dict[str, Any]]:
    """Whole runs, store included; the first one, which embeds the texts, is not counted."""
    sampler = EpisodeSampler.of(load_task("intents-en"), 5, 5, 5)
    for spec, goal in (("prototypes:encoder=minilm", 1.5), ("probe:encoder=minilm", 5)):
        seconds = []
        for n_episodes in (20, *[600] * min(repeats, 3)):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                run(LEARNERS.build(spec), sampler, n_episodes, run_dir=Path(folder) / "run", ctx=Context(device=device))
                seconds.append(time.perf_counter() - started)
        figures = {"best_s": round(min(seconds[1:]), 2), "median_s": round(median(seconds[1:]), 2), "goal_s": goal}
        yield {"benchmark": "meta", "measurement": "frozen", "learner": spec, "episodes": 600, **figures}


def measure_memory(device: str, repeats: int) -> Iterator[dict[str, Any]]:
    """Peak memory as tasks and as inner steps grow."""
    named = {"benchmark": "meta", "measurement": "memory"}
    for chunk_size in (8, None):
        for n_tasks in (8, 32, 128):
            peak = peak_mib(partial(_meta_gradient, MAML_5, device, n_tasks, chunk_size), device)
            yield named | {"meta_batch": n_tasks, "chunk_size": chunk_size, "peak_mib": round(peak, 2)}
    for kind in (MAML, IMAML):
        for steps in (5, 50):
            algorithm = kind(MAML_5.network, RATE, steps)
            peak = peak_mib(partial(_meta_gradient, algorithm, device, 8, None), device)
            yield named | {"algorithm": kind.name, "meta_batch": 8, "steps": steps, "peak_mib": round(peak, 2)}


def _meta_gradient(algorithm: MAML, device: str, n_tasks: int, chunk_size: int | None) -> None:
    build_executor("vmap", chunk_size).meta_gradient(algorithm, parameters(device), tasks(n_tasks, device))


def peak_mib(function: Callable[[], object], device: str = "cpu") -> float:
    """The most MiB that tensors made by a function hold at once, in its second call."""
    import torch

    function()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with torch.profiler.profile(profile_memory=True) as profile:
        function()
    # The resident set of the process tells less: it hardly grows where memory that was freed is used again.
    traced: Any = profile.profiler
    changes = (event.nbytes() for event in traced.kineto_results.events() if event.name() == "[memory]")
    return max(accumulate(changes, initial=0)) / 2**20


MEASUREMENTS = {
    "maml": measure_maml,
    "frozen": measure_frozen,
    "memory": measure_memory,
}


def main() -> None:
    """Print one JSON line per measurement."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="a torch device (default: cpu)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=30, help="timed calls of each measurement (default: 30)")
    parser.add_argument("--only", nargs="+", default=list(MEASUREMENTS), choices=MEASUREMENTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    on_gpu = options.device.startswith("cuda")
    where = {
        "device": torch.cuda.get_device_name(options.device) if on_gpu else "cpu",
        "threads": options.threads,
        "torch": torch.__version__,
    }
    for name in options.only:
        for result in MEASUREMENTS[name](options.device, options.repeats):
            print(json.dumps(result | where), flush=True)


if __name__ == "__main__":
    main()
