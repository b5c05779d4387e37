"""Executors run an algorithm on a batch of tasks. They differ in speed alone: results agree.

loop       one task after the other: the oracle, and the way for networks too large to be batched
vmap       all tasks of a chunk at once (torch.func.vmap)
captured   the vmapped function compiled whole, derivatives included; a CUDA graph on a GPU. Needs a compiler, and
           compiles again for every new shape: tens of seconds, which only long training repays.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from classic.functional.base import TensorTask
from classic.functional.episodic import Episodic
from classic.functional.inner import all_finite
from classic.functional.safety import second_order
from evals.learner import ignore
from fewshot.core.errors import FewshotError, ModelUnavailable, UsageError, unknown_name

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Algorithm, Params

    Metrics = dict[str, Tensor]
    Batched = Callable[[Params, TensorTask], Any]
    Reduce = Callable[[Any], Any]
    Key = tuple[str, Algorithm]
    Notify = Callable[[str], None]

Result = TypeVar("Result")

#: Graphs that a process may compile: one per algorithm and shape. The compiler's own limit, 8, is meant for code that
#: recompiles by accident, and counts all algorithms together.
SHAPES = 128


def _keep(results: Any) -> Any:
    return results


class Executor:
    """Chunks, second-order safety and averaging, common to all executors.

    Args:
        chunk_size: tasks that are in memory at once; None is all. Halved for good whenever memory runs out.
        notify: told in one line when that happens.
    """

    name: ClassVar[str]

    def __init__(self, chunk_size: int | None = None, notify: Notify = ignore) -> None:
        if chunk_size is not None and chunk_size < 1:
            raise UsageError(f"chunk_size {chunk_size} is too small; it is the number of tasks in memory, from 1")
        self.chunk_size = chunk_size
        self.notify = notify

    def predict(self, algorithm: Algorithm, params: Params, batch: TensorTask) -> Tensor:
        """Adapt to every task and answer its queries.

        Args:
            batch: every field with a leading dimension (n_tasks).

        Returns:
            (n_tasks, n_query, way) logits, or (n_tasks, n_query, d) predictions; not finite if a task diverged.
        """
        import torch

        def answer(params: Params, task: TensorTask) -> Tensor:
            return algorithm.logits(algorithm.adapt(params, task), task.query_x)

        run = self._batched(("predict", algorithm), answer)
        return torch.cat(list(self._chunks(lambda chunk: run(params, chunk), batch, algorithm)))

    def meta_gradient(self, algorithm: Algorithm, params: Params, batch: TensorTask) -> tuple[Params, Metrics]:
        """The mean meta-gradient over the tasks that did not diverge, and the metrics of every task.

        Returns:
            One tensor per parameter (zero if every task diverged: see the metric "diverged"), and
            {metric: (n_tasks,)}. "loss" is not finite, or huge, where "diverged" is 1: leave those out of averages.
        """
        import torch

        run = self._summed(algorithm)
        totals: Params = {name: torch.zeros_like(value) for name, value in params.items()}
        collected: list[Metrics] = []
        for gradients, metrics in self._chunks(lambda chunk: run(params, chunk), batch, algorithm):
            totals = {name: totals[name] + gradients[name] for name in totals}
            collected.append(metrics)
        metrics = {name: torch.cat([each[name] for each in collected]) for name in collected[0]}
        converged = (1 - metrics["diverged"]).sum().clamp(min=1)
        return {name: total / converged for name, total in totals.items()}, metrics

    def describe(self) -> dict[str, Any]:
        """The name. How tasks are chunked decides no result, and may change on the way."""
        return {"name": self.name}

    def _summed(self, algorithm: Algorithm) -> Batched:
        """The sum of the meta-gradients of those tasks of a chunk that did not diverge, and the metrics of all."""
        return self._batched(("meta_gradient", algorithm), algorithm.meta_gradient, _sum_converged)

    def _batched(self, key: Key, function: Batched, reduce: Reduce = _keep) -> Batched:
        """`function` of one task as a function of a chunk, whose stacked results are reduced.

        Args:
            key: tells functions apart.
        """
        raise NotImplementedError

    def _chunks(self, run: Callable[[TensorTask], Result], batch: TensorTask, algorithm: Algorithm) -> Iterator[Result]:
        """Results chunk by chunk. A chunk that does not fit is tried again as halves."""
        import torch

        n_tasks = len(batch.class_mask)
        start = 0
        while start < n_tasks:
            size = min(self.chunk_size or n_tasks, n_tasks - start)
            chunk = batch._make(field[start : start + size] for field in batch)
            try:
                # No graph outlives the call: derivatives are taken inside, by torch.func.
                with torch.no_grad(), second_order() if algorithm.second_order else nullcontext():
                    result = run(chunk)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                self._halve(size, error)
                continue
            yield result
            start += size

    def _halve(self, size: int, error: RuntimeError) -> None:
        import torch

        if size == 1:
            raise FewshotError(
                "out of memory with a single task. Use fewer inner steps, fewer queries per class, first_order=true "
                "or a smaller network"
            ) from error
        self.chunk_size = size // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.notify(f"out of memory with {size} tasks at once: going on with chunk_size={self.chunk_size}")


class LoopExecutor(Executor):
    """One task after the other. A chunk is one task unless told otherwise."""

    name = "loop"

    def __init__(self, chunk_size: int | None = None, notify: Notify = ignore) -> None:
        super().__init__(chunk_size or 1, notify)

    def _batched(self, key: Key, function: Batched, reduce: Reduce = _keep) -> Batched:
        import torch
        from torch.utils._pytree import tree_map

        def run(params: Params, chunk: TensorTask) -> Any:
            tasks = [chunk._make(fields) for fields in zip(*chunk, strict=True)]
            return reduce(tree_map(lambda *each: torch.stack(each), *[function(params, task) for task in tasks]))

        return run


class VmapExecutor(Executor):
    """All tasks of a chunk at once. Dropout, where a network has it, is drawn anew for every task."""

    name = "vmap"

    def _batched(self, key: Key, function: Batched, reduce: Reduce = _keep) -> Batched:
        from torch.func import vmap

        batched = vmap(function, in_dims=(None, 0), randomness="different")
        return lambda params, chunk: reduce(batched(params, chunk))

    def _summed(self, algorithm: Algorithm) -> Batched:
        """Of a query loss there is one backward pass for all tasks: losses are summed, not gradients."""
        from torch.func import grad_and_value

        each = super()._summed(algorithm)
        if not isinstance(algorithm, Episodic) or type(algorithm).meta_gradient is not Episodic.meta_gradient:
            return each

        def add(results: tuple[Tensor, Metrics]) -> tuple[Tensor, Metrics]:
            losses, metrics = results
            return losses.sum(), metrics | {"diverged": losses.detach().new_zeros(len(losses))}

        total = grad_and_value(self._batched(("query_loss", algorithm), algorithm.query_loss, add), has_aux=True)

        def run(params: Params, chunk: TensorTask) -> tuple[Params, Metrics]:
            gradients, (loss, metrics) = total(params, chunk)
            # One task that diverges spoils the sum of all: then each has a gradient of its own.
            return (gradients, metrics) if all_finite(loss, gradients) else each(params, chunk)

        return run


class CapturedExecutor(VmapExecutor):
    """The vmapped function as one compiled graph.

    The whole meta-gradient is compiled, never a model that eager code differentiates twice: that is not supported by
    torch.compile.

    Attributes:
        compile_seconds: spent so far on first calls, which compile.

    Raises:
        ModelUnavailable: no compiler is found. Nothing falls back in silence: take "auto" or "vmap".
    """

    name = "captured"
    _summed = Executor._summed  # a backward pass through a compiled function is what must not be

    def __init__(self, chunk_size: int | None = None, notify: Notify = ignore) -> None:
        super().__init__(chunk_size, notify)
        require_compiler()
        self.compile_seconds = 0.0
        self._compiled: dict[Any, Batched] = {}
        self._seen: set[Any] = set()

    def _batched(self, key: Key, function: Batched, reduce: Reduce = _keep) -> Batched:
        import torch

        if key not in self._compiled:
            mode = "reduce-overhead" if torch.cuda.is_available() else "default"
            batched = super()._batched(key, function, reduce)
            self._compiled[key] = torch.compile(batched, fullgraph=True, dynamic=False, mode=mode)
        compiled = self._compiled[key]

        def run(params: Params, chunk: TensorTask) -> Any:
            from torch.utils._pytree import tree_map

            shapes = (key, *(field.shape for field in chunk), chunk.support_x.device)
            started = time.perf_counter()
            # A CUDA graph writes its next results into the same memory: hand out copies.
            with torch._dynamo.config.patch(recompile_limit=SHAPES):
                result = tree_map(lambda value: value.clone(), compiled(params, chunk))
            if shapes not in self._seen:
                self._seen.add(shapes)
                self.compile_seconds += time.perf_counter() - started
            return result

        return run


EXECUTORS: dict[str, type[Executor]] = {each.name: each for each in (LoopExecutor, VmapExecutor, CapturedExecutor)}


def build_executor(
    name: str = "auto", chunk_size: int | None = None, notify: Notify = ignore, network: Any = None
) -> Executor:
    """An executor by name.

    Args:
        name: "loop", "vmap", "captured", or "auto", which is vmap unless the network cannot be batched.
        chunk_size: tasks in memory at once; None is all of a batch ("loop": 1).
        notify: told when memory runs out and chunks are halved.
        network: what is run, for "auto".

    Raises:
        UsageError: unknown name.
        ModelUnavailable: "captured" without a compiler.
    """
    if name == "auto":
        name = "vmap" if _vectorizes(network) else "loop"
    if name not in EXECUTORS:
        raise unknown_name("executor", name, ["auto", *EXECUTORS])
    return EXECUTORS[name](chunk_size, notify)


def _vectorizes(network: Any) -> bool:
    """Whether a network, and the one it is built around, can be batched; they can unless they say no."""
    if network is None:
        return True
    inner = getattr(network, "backbone", None) or getattr(network, "network", None)
    return getattr(network, "vectorizes", True) and _vectorizes(inner)


def require_compiler() -> None:
    """Refuse early, and in words, what torch.compile would refuse late and in a long traceback."""
    import torch

    if torch.cuda.is_available():
        return
    from torch._inductor import config

    candidates = [config.cpp.cxx] if isinstance(config.cpp.cxx, str) else [*config.cpp.cxx]
    if not any(shutil.which(each) for each in candidates if each):
        raise ModelUnavailable(
            "executor 'captured' compiles for the CPU and found no C++ compiler. Install g++ or clang, or use "
            "executor=vmap"
        )


def _sum_converged(results: tuple[Params, Metrics]) -> tuple[Params, Metrics]:
    """Sum (n_tasks, ...) gradients over the tasks that did not diverge. `where`, since NaN times 0 is NaN."""
    gradients, metrics = results
    converged = metrics["diverged"] == 0
    summed = {
        name: value.where(converged.reshape(-1, *[1] * (value.ndim - 1)), 0).sum(dim=0)
        for name, value in gradients.items()
    }
    return summed, metrics


def _out_of_memory(error: RuntimeError) -> bool:
    """On a GPU there is a class for it; the CPU allocator says it in words."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
