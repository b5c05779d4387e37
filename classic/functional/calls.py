"""What people ask of an algorithm, in one call each: adapt to a task, answer a batch of them, a meta-gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from classic.functional.executors import Executor, build_executor
from fewshot.core.errors import FewshotError

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Algorithm, Params, TensorTask


def adapt(algorithm: Algorithm, params: Params, task: TensorTask) -> Any:
    """What an algorithm learns from the support of ONE task: the `fast` that `algorithm.logits(fast, x)` takes."""
    return algorithm.adapt(params, task)


def predict(algorithm: Algorithm, params: Params, batch: TensorTask, executor: str | Executor = "auto") -> Tensor:
    """Adapt to every task of a batch and answer its queries.

    Args:
        executor: "auto", "loop", "vmap", "captured", or one that was built.

    Returns:
        (n_tasks, n_query, way) logits, or (n_tasks, n_query, d) predictions.
    """
    return _built(executor, algorithm).predict(algorithm, params, batch)


def meta_gradient(
    algorithm: Algorithm, params: Params, batch: TensorTask, executor: str | Executor = "auto"
) -> tuple[Params, dict[str, Tensor]]:
    """The mean meta-gradient over a batch of tasks, and the metrics of every task.

    Args:
        executor: "auto", "loop", "vmap", "captured", or one that was built.

    Returns:
        One tensor per parameter, and {metric: (n_tasks,)}: see `Executor.meta_gradient`.

    Raises:
        FewshotError: no task of the batch has a finite gradient. Those that have none are left out otherwise, and the
            metric "diverged" tells them.
    """
    gradient, metrics = _built(executor, algorithm).meta_gradient(algorithm, params, batch)
    if metrics["diverged"].all():
        raise FewshotError(
            f"all {len(batch.class_mask)} tasks diverged: the loss or the meta-gradient of {algorithm.name!r} is not "
            "finite, or exploded. Use a smaller inner step size or fewer inner steps, and look for NaN in the inputs"
        )
    return gradient, metrics


def _built(executor: str | Executor, algorithm: Algorithm) -> Executor:
    return build_executor(executor, network=algorithm.network) if isinstance(executor, str) else executor
