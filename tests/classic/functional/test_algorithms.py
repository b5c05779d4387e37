"""What holds for every algorithm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from torch.testing import assert_close

from classic.functional.executors import build_executor
from tests.classic.functional.toy import QUERY, WAY, algorithms, generator, padded, parameters, task, tasks

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Params, TensorTask

EACH = pytest.mark.parametrize("algorithm", algorithms().values(), ids=algorithms().keys())


@EACH
def test_learns_a_separable_task(algorithm: Algorithm) -> None:
    params = parameters(algorithm, torch.float32)
    executor = build_executor("vmap")
    steps, lr = (120, 0.02) if algorithm.name in ("mann", "snail") else (60, 0.04)
    if algorithm.name == "reptile":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(list(params.values()), lr=0.5)
    else:
        optimiser = torch.optim.Adam(list(params.values()), lr=lr)
    for seed in range(steps):
        direction, _ = executor.meta_gradient(algorithm, params, tasks(8, seed, dtype=torch.float32))
        for name, value in params.items():
            value.grad = direction[name]
        optimiser.step()
    fresh = tasks(50, 1000, dtype=torch.float32)
    correct = executor.predict(algorithm, params, fresh).argmax(-1) == fresh.query_y
    # Chance is 0.33. A controller that is random at first is slow to find out what its memory is for.
    assert correct.float().mean() > (0.6 if algorithm.name == "mann" else 0.75)


@EACH
def test_renumbering_the_classes_renumbers_the_logits(algorithm: Algorithm) -> None:
    if getattr(algorithm.network, "start", "") == "learned":
        pytest.skip("a head that is learned per class is what this forbids; Headed says so")
    params, one = parameters(algorithm), task()
    order = torch.tensor([2, 0, 1])
    renumbered = one._replace(support_y=order[one.support_y])
    logits = algorithm.logits(algorithm.adapt(params, one), one.query_x)
    again = algorithm.logits(algorithm.adapt(params, renumbered), one.query_x)
    assert_close(again[:, order], logits)


@EACH
def test_padding_changes_nothing(algorithm: Algorithm) -> None:
    if getattr(algorithm.network, "start", "") == "learned":
        pytest.skip("a head that is learned per class has a fixed way")
    params, batch, executor = parameters(algorithm), tasks(3), build_executor("vmap")
    more = padded(batch)
    logits = executor.predict(algorithm, params, more)
    assert_close(logits[:, : WAY * QUERY, :WAY], executor.predict(algorithm, params, batch))
    assert logits.softmax(-1)[..., WAY:].max() == 0
    gradient, metrics = executor.meta_gradient(algorithm, params, batch)
    padded_gradient, padded_metrics = executor.meta_gradient(algorithm, params, more)
    assert_close(padded_gradient, gradient)
    assert_close(padded_metrics, metrics)


@EACH
def test_the_queries_do_not_reach_the_inner_loop(algorithm: Algorithm) -> None:
    params, one = parameters(algorithm), task()
    nothing = torch.full_like(one.query_x, torch.nan)
    blind = one._replace(query_x=nothing, query_y=torch.zeros_like(one.query_y))
    assert_close(
        algorithm.logits(algorithm.adapt(params, blind), one.query_x),
        algorithm.logits(algorithm.adapt(params, one), one.query_x),
    )


@EACH
def test_answers_do_not_depend_on_the_other_queries(algorithm: Algorithm) -> None:
    params, one = parameters(algorithm), task()
    fast = algorithm.adapt(params, one)
    assert_close(algorithm.logits(fast, one.query_x[:1]), algorithm.logits(fast, one.query_x)[:1])


@EACH
def test_what_decides_the_result_is_described(algorithm: Algorithm) -> None:
    described = json.loads(json.dumps(algorithm.describe()))
    assert described["name"] == algorithm.name
    assert described["network"]["name"]


@EACH
def test_metrics(algorithm: Algorithm) -> None:
    _, metrics = algorithm.meta_gradient(parameters(algorithm), task())
    assert set(metrics) == {"loss", "accuracy", "diverged"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    assert metrics["diverged"] == 0


def _slope(algorithm: Algorithm, params: Params, one: TensorTask, name: str, direction: torch.Tensor) -> float:
    """Central difference of the query loss, as `meta_gradient` reports it, when one parameter moves."""
    step = 1e-5
    up, down = (
        algorithm.meta_gradient({**params, name: params[name] + sign * step * direction}, one)[1]["loss"]
        for sign in (1, -1)
    )
    return ((up - down) / (2 * step)).item()


EXACT = {name: algorithm for name, algorithm in algorithms().items() if name not in ("fomaml", "imaml", "reptile")}


@pytest.mark.parametrize("algorithm", EXACT.values(), ids=EXACT.keys())
def test_meta_gradient_equals_finite_differences(algorithm: Algorithm) -> None:
    """Along random directions, of every parameter by itself."""
    params, one, rng = parameters(algorithm, seed=3), task(seed=5), generator()
    gradient, _ = algorithm.meta_gradient(params, one)
    for name, value in params.items():
        direction = torch.randn(value.shape, generator=rng, dtype=value.dtype)
        expected = _slope(algorithm, params, one, name, direction)
        assert (gradient[name] * direction).sum().item() == pytest.approx(expected, rel=1e-5, abs=1e-8), name
