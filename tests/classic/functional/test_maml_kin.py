"""The kin of MAML against loops over plain autograd, and implicit MAML against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss
from torch.testing import assert_close

from benchmarks.meta import peak_mib
from classic.algorithms.boil import BOIL
from classic.algorithms.cavia import CAVIA, SCALE, SHIFT
from classic.algorithms.imaml import IMAML, conjugate_gradient
from classic.algorithms.maml import MAML
from classic.algorithms.mamlpp import RATE, MAMLPlusPlus
from classic.algorithms.protonet import ProtoNet
from classic.functional.base import TensorTask
from classic.functional.executors import build_executor
from classic.networks import Headed, Identity
from fewshot.core.errors import UsageError
from tests.classic.functional.toy import WAY, generator, headed, parameters, task, tasks

Leaves = dict[str, torch.Tensor]


def gradients(loss: Callable[[Leaves], torch.Tensor], params: Leaves) -> Leaves:
    """By plain autograd; zero for what the loss does not depend on."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    found = torch.autograd.grad(loss(leaves), list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def stepped(loss: torch.Tensor, values: Leaves, rate: Any) -> Leaves:
    """One step of gradient descent that can be differentiated."""
    slopes = torch.autograd.grad(loss, list(values.values()), create_graph=True)
    rates = rate if isinstance(rate, dict) else dict.fromkeys(values, rate)
    return {name: value - rates[name] * slope for (name, value), slope in zip(values.items(), slopes, strict=True)}


def body(params: Leaves, x: torch.Tensor) -> torch.Tensor:
    """The body of `headed()`."""
    return (x @ params["body.0.weight"].T + params["body.0.bias"]).relu()


def prototype_head(params: Leaves, one: TensorTask) -> Leaves:
    features = body(params, one.support_x)
    means = torch.stack([features[one.support_y == label].mean(0) for label in range(WAY)])
    return {"head.weight": 2 * means, "head.bias": -(means**2).sum(1)}


def linear(params: Leaves, features: torch.Tensor) -> torch.Tensor:
    return features @ params["head.weight"].T + params["head.bias"]


def proto_maml(leaves: Leaves, one: TensorTask) -> torch.Tensor:
    # A copy: the inner gradient of the body does not go through the head, which is a parameter of its own by then.
    fast = {name: value.clone() for name, value in leaves.items()} | prototype_head(leaves, one)
    for _ in range(2):
        fast = stepped(cross_entropy(linear(fast, body(fast, one.support_x)), one.support_y), fast, 0.1)
    return cross_entropy(linear(fast, body(fast, one.query_x)), one.query_y)


def boil(leaves: Leaves, one: TensorTask) -> torch.Tensor:
    fast = {name: value for name, value in leaves.items() if name.startswith("body.")}
    for _ in range(2):
        fast = stepped(cross_entropy(linear(leaves, body(fast, one.support_x)), one.support_y), fast, 0.5)
    return cross_entropy(linear(leaves, body(fast, one.query_x)), one.query_y)


def cavia(leaves: Leaves, one: TensorTask) -> torch.Tensor:
    head = prototype_head(leaves, one)

    def outputs(context: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return linear(head, body(leaves, x) * (1 + leaves[SCALE] @ context) + leaves[SHIFT] @ context)

    fast = {"context": torch.zeros(4, dtype=torch.float64, requires_grad=True)}
    for _ in range(2):
        fast = stepped(cross_entropy(outputs(fast["context"], one.support_x), one.support_y), fast, 0.3)
    return cross_entropy(outputs(fast["context"], one.query_x), one.query_y)


def maml_plus_plus(leaves: Leaves, one: TensorTask) -> torch.Tensor:
    """Losses after three steps weigh 1/6, 1/6 and 4/6: half way from equal weights to the last alone."""
    fast = {name: value for name, value in leaves.items() if not name.startswith("meta.")}
    total: Any = 0
    for step, weight in enumerate((1 / 6, 1 / 6, 4 / 6)):
        rates = {name: leaves[RATE + name][step].exp() for name in fast}
        fast = stepped(cross_entropy(linear(fast, body(fast, one.support_x)), one.support_y), fast, rates)
        total = total + weight * cross_entropy(linear(fast, body(fast, one.query_x)), one.query_y)
    return total


@pytest.mark.parametrize(
    ("algorithm", "by_hand"),
    [
        (MAML(headed("prototypes"), 0.1, 2), proto_maml),
        (BOIL(headed("learned"), 0.5, 2), boil),
        (CAVIA(headed("prototypes"), 0.3, 2, n_context=4), cavia),
        (MAMLPlusPlus(headed("learned"), 0.3, 3, early=0.5), maml_plus_plus),
    ],
    ids=["protomaml", "boil", "cavia", "maml++"],
)
def test_the_meta_gradient_is_that_of_a_loop_over_plain_autograd(algorithm: MAML, by_hand: Any) -> None:
    params, one = parameters(algorithm), task()
    if isinstance(algorithm, MAMLPlusPlus):  # the same step sizes everywhere would hide which is used where
        params |= {name: value + torch.rand(3) for name, value in params.items() if name.startswith(RATE)}
    gradient, metrics = algorithm.meta_gradient(params, one)
    assert_close(gradient, gradients(lambda leaves: by_hand(leaves, one), params))
    assert_close(metrics["loss"], by_hand(gradients_on(params), one).detach())


def gradients_on(params: Leaves) -> Leaves:
    return {name: value.clone().requires_grad_() for name, value in params.items()}


def test_proto_maml_before_its_first_step_is_the_prototypical_network() -> None:
    maml, one = MAML(headed("prototypes"), inner_steps=0), task()
    params = parameters(maml)
    protonet = ProtoNet(maml.network.backbone)
    own = {name.removeprefix("body."): value for name, value in params.items()}
    assert_close(
        maml.logits(maml.adapt(params, one), one.query_x).softmax(-1),
        protonet.logits(protonet.adapt(own, one), one.query_x).softmax(-1),
    )


def test_boil_leaves_the_head_alone_and_needs_rows_that_differ() -> None:
    algorithm, one = BOIL(headed("prototypes")), task()
    params = parameters(algorithm)
    fast = algorithm.adapt(params, one).params
    for name, value in prototype_head(params, one).items():
        assert_close(fast[name], value)
    assert not torch.equal(fast["body.0.weight"], params["body.0.weight"])
    for start in ("zero", "shared"):
        with pytest.raises(UsageError, match=f"starts '{start}' gives the body no direction"):
            BOIL(headed(start))


def test_cavia_adapts_its_context_alone_and_serves_regression() -> None:
    """Where targets are twice as large in one task and half in another, one number is all there is to learn."""
    algorithm = CAVIA(Headed(Identity(2), "learned", 1), 5.0, 20, n_context=1, loss="mse")
    params = parameters(algorithm)
    params |= {SCALE: torch.ones(2, 1, dtype=torch.float64), SHIFT: torch.zeros(2, 1, dtype=torch.float64)}
    params["head.bias"] = torch.zeros(1, dtype=torch.float64)
    x, ones = torch.randn(6, 2, generator=generator(), dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    plain = x @ params["head.weight"].T
    for factor in (2.0, 0.5):
        fast = algorithm.adapt(params, TensorTask(x, factor * plain, ones, x, plain, ones, ones[:1]))
        assert all(torch.equal(fast.params[name], params[name]) for name in params)
        assert mse_loss(algorithm.logits(fast, x), factor * plain) < 0.3 * mse_loss(plain, factor * plain)


@pytest.mark.parametrize(
    ("progress", "early", "first_order"),
    [(0.0, 1.0, True), (0.2, 0.6, True), (0.4, 0.2, False), (0.5, 0.0, False), (0.99, 0.0, False)],
)
def test_maml_plus_plus_in_the_course_of_its_training(progress: float, early: float, first_order: bool) -> None:
    found = MAMLPlusPlus(headed()).at(progress)
    assert found.early == pytest.approx(early)
    assert found.first_order is first_order
    assert found.second_order is not first_order


def test_maml_plus_plus_takes_the_last_step_size_beyond_those_it_has_learned() -> None:
    few = MAMLPlusPlus(headed(), 0.3, 1, test_steps=3)
    params, one = parameters(few), task()
    many = MAMLPlusPlus(headed(), 0.3, 3)
    expected = many.adapt(params | {name: params[name].repeat(3) for name in params if name.startswith(RATE)}, one)
    assert_close(few.adapt(params, one).params, expected.params)


def ridge_task(seed: int, n: int = 8) -> TensorTask:
    """Regression of two outputs on three inputs."""
    rng, ones = generator(seed), torch.ones(n, dtype=torch.float64)
    support, query = ([torch.randn(n, size, generator=rng, dtype=torch.float64) for size in (3, 2)] for _ in range(2))
    return TensorTask(*support, ones, *query, ones, ones[:2])


LINEAR = IMAML(Headed(Identity(3), "learned", 2), 0.5, 80, strength=0.7, cg_steps=8, loss="mse")


def ridge_solution(leaves: Leaves, one: TensorTask) -> torch.Tensor:
    """The query loss at the minimum of the inner problem, in closed form."""
    x = torch.cat([one.support_x, torch.ones(len(one.support_x), 1, dtype=torch.float64)], dim=1)
    start = torch.cat([leaves["head.weight"].T, leaves["head.bias"][None]])
    # The loss is a mean over 8 rows and 2 outputs.
    system = x.T @ x / 8 + 0.7 * torch.eye(4, dtype=torch.float64)
    solution = torch.linalg.solve(system, x.T @ one.support_y / 8 + 0.7 * start)
    return mse_loss(one.query_x @ solution[:3] + solution[3], one.query_y)


@pytest.mark.promise(137)
@pytest.mark.parametrize("seed", range(2))
def test_implicit_maml_is_exact_on_a_quadratic(seed: int) -> None:
    params, one = parameters(LINEAR, seed=seed), ridge_task(seed)
    gradient, _ = LINEAR.meta_gradient(params, one)
    assert_close(gradient, gradients(lambda leaves: ridge_solution(leaves, one), params))
    unrolled = gradients(lambda leaves: unrolled_ridge(leaves, one), params)
    assert_close(gradient, unrolled, atol=1e-6, rtol=1e-6)


def unrolled_ridge(leaves: Leaves, one: TensorTask) -> torch.Tensor:
    """The query loss after as many steps, differentiated through each."""
    fast = leaves
    for _ in range(LINEAR.inner_steps):
        pull = sum(((fast[name] - value) ** 2).sum() for name, value in leaves.items())
        fast = stepped(mse_loss(linear(fast, one.support_x), one.support_y) + 0.35 * pull, fast, 0.5)
    return mse_loss(linear(fast, one.query_x), one.query_y)


def test_implicit_maml_on_a_network_is_the_slope_of_what_it_reports() -> None:
    """A strong pull makes the inner problem convex; the gradient returns through the row that the head starts from."""
    algorithm = IMAML(headed("shared"), 0.04, 60, strength=20.0, cg_steps=10)
    params, one = parameters(algorithm, seed=3), task(seed=5)
    gradient, _ = algorithm.meta_gradient(params, one)
    for name in ("body.0.weight", "head.weight"):
        direction, step = torch.randn(params[name].shape, generator=generator(), dtype=torch.float64), 1e-5
        up, down = (
            algorithm.meta_gradient(params | {name: params[name] + sign * step * direction}, one)[1]["loss"]
            for sign in (1, -1)
        )
        assert (gradient[name] * direction).sum().item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-3)


@pytest.mark.parametrize("steps", [4, 5, 9], ids=["fewer", "as many as unknowns", "more"])
def test_conjugate_gradient_solves_and_then_stands_still(steps: int) -> None:
    root = torch.randn(5, 5, generator=generator(), dtype=torch.float64)
    matrix, target = root @ root.T + torch.eye(5, dtype=torch.float64), {"x": torch.ones(5, dtype=torch.float64)}
    found = conjugate_gradient(lambda at: {"x": matrix @ at["x"]}, target, steps)["x"]
    error = (matrix @ found - target["x"]).norm()
    assert error < 1e-8 if steps >= 5 else 1e-8 < error < 1
    nothing = {"x": torch.zeros(5, dtype=torch.float64)}
    assert torch.equal(conjugate_gradient(lambda at: {"x": matrix @ at["x"]}, nothing, steps)["x"], nothing["x"])


def memory(algorithm: MAML) -> float:
    """What tensors hold at most while a meta-gradient of two tasks is computed."""
    params, batch = parameters(algorithm), tasks(2)
    return peak_mib(lambda: build_executor("vmap").meta_gradient(algorithm, params, batch))


@pytest.mark.promise(137)
def test_the_memory_of_implicit_maml_does_not_grow_with_its_inner_steps() -> None:
    implicit = [memory(IMAML(headed(), 0.1, steps, cg_steps=2)) for steps in (5, 50)]
    explicit = [memory(MAML(headed(), 0.1, steps)) for steps in (2, 10)]
    assert implicit[1] == implicit[0]
    assert explicit[1] > 2 * explicit[0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: IMAML(headed(), strength=0.0), "strength 0.0"),
        (lambda: IMAML(headed(), first_order=True), "no first_order"),
        (lambda: MAMLPlusPlus(headed(), multi_step=1.5), "multi_step 1.5"),
        (lambda: MAMLPlusPlus(headed(), inner_steps=0), "inner_steps 0"),
        (lambda: replace(CAVIA(headed("prototypes")), n_context=0), "n_context 0"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build()
