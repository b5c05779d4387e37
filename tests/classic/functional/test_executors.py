"""Executors agree, keep diverged tasks out, and survive a lack of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from torch.testing import assert_close

from classic.algorithms.maml import MAML
from classic.algorithms.protonet import ProtoNet
from classic.functional import executors, safety
from classic.functional.base import TensorTask
from classic.functional.executors import build_executor
from classic.networks import MLP, Identity
from fewshot.core.errors import FewshotError, ModelUnavailable, UsageError
from tests.classic.functional.toy import INPUTS, algorithms, headed, parameters, task, tasks

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Params

EACH = pytest.mark.parametrize("algorithm", algorithms().values(), ids=algorithms().keys())


@EACH
@pytest.mark.parametrize("chunk_size", [None, 2], ids=["whole", "chunks of 2"])
def test_loop_equals_vmap(algorithm: Algorithm, chunk_size: int | None) -> None:
    params, batch = parameters(algorithm), tasks(5)
    loop, vmap = build_executor("loop"), build_executor("vmap", chunk_size)
    assert_close(vmap.predict(algorithm, params, batch), loop.predict(algorithm, params, batch))
    gradient, metrics = loop.meta_gradient(algorithm, params, batch)
    assert gradient.keys() == params.keys()
    batched_gradient, batched_metrics = vmap.meta_gradient(algorithm, params, batch)
    assert_close(batched_gradient, gradient)
    assert_close(batched_metrics, metrics)


def test_captured_equals_vmap() -> None:
    """On the smallest second-order problem, since what takes long is the compiler."""
    try:
        captured = build_executor("captured")
    except ModelUnavailable as error:
        pytest.skip(str(error))
    algorithm = MAML(headed("learned", hidden=2), inner_lr=0.5, inner_steps=1)
    params, batch = parameters(algorithm), tasks(2)
    # What another process has compiled, perhaps for another processor, is not taken up.
    with torch._inductor.config.patch(compile_threads=1, force_disable_caches=True):
        gradient, metrics = captured.meta_gradient(algorithm, params, batch)
    expected_gradient, expected_metrics = build_executor("vmap").meta_gradient(algorithm, params, batch)
    assert_close(gradient, expected_gradient)
    assert_close(metrics, expected_metrics)
    assert isinstance(captured, executors.CapturedExecutor)
    assert captured.compile_seconds > 0


@pytest.mark.parametrize("name", ["loop", "vmap"])
def test_a_diverged_task_is_counted_and_kept_out_of_the_mean(name: str) -> None:
    """One task with huge inputs must not touch the gradient of the others (a NaN times 0 is a NaN)."""
    algorithm = MAML(headed(), inner_lr=0.5, inner_steps=3)
    params, good, executor = parameters(algorithm), tasks(4), build_executor(name)
    support_x = good.support_x.clone()
    support_x[1] *= 1e6
    gradient, metrics = executor.meta_gradient(algorithm, params, good._replace(support_x=support_x))
    assert metrics["diverged"].tolist() == [0, 1, 0, 0]
    others = TensorTask(*(torch.cat([field[:1], field[2:]]) for field in good))
    assert_close(gradient, executor.meta_gradient(algorithm, params, others)[0])


def test_nan_in_the_features_is_a_diverged_task_for_every_algorithm() -> None:
    for algorithm in algorithms().values():
        batch = tasks(2)
        batch.support_x[0, 0, 0] = torch.nan
        gradient, metrics = build_executor().meta_gradient(algorithm, parameters(algorithm), batch)
        assert metrics["diverged"].tolist() == [1, 0], algorithm.name
        assert all(value.isfinite().all() for value in gradient.values()), algorithm.name


def test_when_every_task_diverges_the_gradient_is_zero() -> None:
    algorithm = MAML(headed(), inner_lr=1e9)
    gradient, metrics = build_executor().meta_gradient(algorithm, parameters(algorithm), tasks(2))
    assert metrics["diverged"].tolist() == [1, 1]
    assert all(not value.any() for value in gradient.values())


@dataclass(frozen=True)
class Hungry(ProtoNet):
    """Needs memory for `fits` tasks at most. Under vmap a task cannot see the batch, so it is told by a counter."""

    fits: int = 3


class HungryExecutor(executors.VmapExecutor):
    def _batched(self, key, function, reduce=lambda results: results):  # type: ignore[no-untyped-def]
        run = super()._batched(key, function, reduce)

        def limited(params: Params, chunk: TensorTask):  # type: ignore[no-untyped-def]
            if len(chunk.class_mask) > key[1].fits:
                raise torch.OutOfMemoryError("out of memory")
            return run(params, chunk)

        return limited


def test_chunks_are_halved_until_they_fit() -> None:
    algorithm, told = Hungry(MLP(INPUTS, (5,)), fits=3), []
    params, batch, executor = parameters(algorithm), tasks(10), HungryExecutor(notify=told.append)
    gradient, metrics = executor.meta_gradient(algorithm, params, batch)
    assert (executor.chunk_size, len(told)) == (2, 2)
    assert "chunk_size=2" in told[-1]
    assert len(metrics["loss"]) == 10
    assert_close(gradient, build_executor("vmap").meta_gradient(algorithm, params, batch)[0])
    assert executor.predict(algorithm, params, batch).shape[0] == 10


def test_one_task_that_does_not_fit_is_an_error_with_a_way_out() -> None:
    algorithm = Hungry(MLP(INPUTS, (5,)), fits=0)
    with pytest.raises(FewshotError, match="single task"):
        HungryExecutor().predict(algorithm, parameters(algorithm), tasks(2))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    algorithm = ProtoNet(MLP(INPUTS + 1, (5,)))
    with pytest.raises(RuntimeError, match="mat1"):
        build_executor("loop").predict(algorithm, parameters(algorithm), tasks(2))


def test_without_a_compiler_captured_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match=r"g\+\+ or clang.*executor=vmap"):
        build_executor("captured")


@pytest.mark.parametrize(("name", "kind"), [("auto", "vmap"), ("vmap", "vmap"), ("loop", "loop")])
def test_names(name: str, kind: str) -> None:
    assert build_executor(name).describe()["name"] == kind


def test_unknown_executor() -> None:
    with pytest.raises(UsageError, match="Did you mean 'vmap'"):
        build_executor("vmaps")


def test_chunk_size_must_be_positive() -> None:
    with pytest.raises(UsageError, match="chunk_size 0"):
        build_executor("vmap", 0)


def test_dropout_differs_between_tasks() -> None:
    class Dropping(Identity):
        def apply(self, params: Params, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.dropout(x, 0.5)

    algorithm = ProtoNet(Dropping(INPUTS))
    same = TensorTask(*(torch.stack([field, field]) for field in task()))
    first, second = build_executor("vmap").predict(algorithm, {}, same)
    assert not torch.equal(first, second)


def test_second_order_selects_differentiable_attention_alone() -> None:
    """Flash attention has no second derivative, and is chosen whenever it is merely not switched off."""
    backends = torch.backends.cuda
    with safety.second_order():
        assert backends.math_sdp_enabled()
        assert not backends.flash_sdp_enabled()
        assert not backends.mem_efficient_sdp_enabled()
        assert not torch.backends.cudnn.enabled
        query = torch.randn(1, 1, 4, 8, dtype=torch.float64, requires_grad=True)
        attended = torch.nn.functional.scaled_dot_product_attention(query, query, query)
        (slope,) = torch.autograd.grad(attended.square().sum(), query, create_graph=True)
        slope.square().sum().backward()
        assert query.grad is not None
    assert backends.flash_sdp_enabled()


@pytest.mark.parametrize(
    ("layer", "training", "refused"),
    [
        (torch.nn.BatchNorm1d(3), True, True),
        (torch.nn.BatchNorm1d(3), False, False),
        (torch.nn.BatchNorm1d(3, track_running_stats=False), False, True),
        (torch.nn.LayerNorm(3), True, False),
    ],
    ids=["batch norm", "frozen batch norm", "batch norm without statistics", "layer norm"],
)
def test_batch_statistics_are_refused(layer: torch.nn.Module, training: bool, refused: bool) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), layer).train(training)
    if not refused:
        safety.require_pure(module)
        return
    with pytest.raises(UsageError, match="layer '1' is BatchNorm1d"):
        safety.require_pure(module)
