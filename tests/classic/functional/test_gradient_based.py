"""MAML and its kin against closed forms and hand-computed cases."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch.testing import assert_close

from classic.algorithms.anil import ANIL
from classic.algorithms.maml import MAML
from classic.algorithms.metasgd import MetaSGD
from classic.algorithms.reptile import Reptile
from classic.functional.base import Described, TensorTask
from classic.functional.executors import build_executor
from classic.functional.inner import descend
from classic.functional.losses import task_loss
from classic.networks import MLP, Headed, Identity
from fewshot.core.errors import UsageError
from tests.classic.functional.toy import INPUTS, SHOT, WAY, generator, headed, padded, parameters, task, tasks


@dataclass(frozen=True)
class Point(Described):
    """One number w for every x: with the loss (w - y)^2 every inner loop has a closed form."""

    features: int = 1
    outputs: int | None = 1

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"w": torch.full((), 3.0)}

    def begin(self, params: dict[str, torch.Tensor], task: TensorTask) -> dict[str, torch.Tensor]:
        return params

    def apply(self, params: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return params["w"] * torch.ones_like(x)


def regression(support: float, query: float, n: int = 2) -> TensorTask:
    """Every support target is `support`, every query target `query`."""
    ones = torch.ones(n, dtype=torch.float64)
    column = ones[:, None]
    return TensorTask(column, support * column, ones, column, query * column, ones, ones[:1])


RATE, STEPS, START, SUPPORT, QUERY = 0.1, 3, 3.0, 1.0, -1.0
SHRINK = 1 - 2 * RATE
ADAPTED = SUPPORT + SHRINK**STEPS * (START - SUPPORT)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (MAML(Point(), RATE, STEPS, loss="mse"), 2 * (ADAPTED - QUERY) * SHRINK**STEPS),  # type: ignore[arg-type]
        (MAML(Point(), RATE, STEPS, first_order=True, loss="mse"), 2 * (ADAPTED - QUERY)),  # type: ignore[arg-type]
        (MAML(Point(), RATE, 0, loss="mse"), 2 * (START - QUERY)),  # type: ignore[arg-type]
    ],
    ids=["maml", "fomaml", "no inner steps: joint training"],
)
def test_meta_gradient_on_a_quadratic(algorithm: MAML, expected: float) -> None:
    gradient, _ = algorithm.meta_gradient(parameters(algorithm), regression(SUPPORT, QUERY))
    assert_close(gradient["w"], torch.tensor(expected, dtype=torch.float64))


def test_fomaml_adds_no_gradient_of_the_support() -> None:
    """Bug B3: without clearing gradients between inner and outer step, the last support gradient is added."""
    algorithm = MAML(Point(), RATE, 1, first_order=True, loss="mse")  # type: ignore[arg-type]
    adapted = SUPPORT + SHRINK * (START - SUPPORT)
    gradient, _ = algorithm.meta_gradient(parameters(algorithm), regression(SUPPORT, QUERY))
    assert gradient["w"].item() == pytest.approx(2 * (adapted - QUERY))
    assert gradient["w"].item() != pytest.approx(2 * (adapted - QUERY) + 2 * (START - SUPPORT))


def test_reptile_on_a_quadratic() -> None:
    """params - fast = (1 - shrink^steps) (w - y), where support and queries share their optimum."""
    algorithm = Reptile(Point(), RATE, STEPS, batch_size=None, loss="mse")  # type: ignore[arg-type]
    direction, _ = algorithm.meta_gradient(parameters(algorithm), regression(SUPPORT, SUPPORT))
    assert direction["w"].item() == pytest.approx((1 - SHRINK**STEPS) * (START - SUPPORT))


def test_reptile_takes_its_minibatches_in_turn() -> None:
    """Two steps of two rows: first the support, then the queries."""
    algorithm = Reptile(Point(), RATE, 2, batch_size=2, loss="mse")  # type: ignore[arg-type]
    direction, _ = algorithm.meta_gradient(parameters(algorithm), regression(SUPPORT, QUERY))
    after_support = SUPPORT + SHRINK * (START - SUPPORT)
    after_queries = QUERY + SHRINK * (after_support - QUERY)
    assert direction["w"].item() == pytest.approx(START - after_queries)


@pytest.mark.promise(132)
@pytest.mark.parametrize("batch_size", [None, 1, 4, 18, 50], ids=["all", "one", "some", "every", "more"])
def test_reptile_counts_only_rows_that_exist(batch_size: int | None) -> None:
    """Tasks of unequal sizes in one batch move the parameters as each of them does alone."""
    algorithm = Reptile(headed("zero"), inner_lr=0.5, inner_steps=6, batch_size=batch_size)
    params, small, large = parameters(algorithm), tasks(1, 3), tasks(1, 4, shot=3, query=5)
    together = TensorTask(*map(torch.cat, zip(padded(small, classes=0), large, strict=True)))
    alone = [build_executor("loop").meta_gradient(algorithm, params, each)[0] for each in (small, large)]
    direction, _ = build_executor("vmap").meta_gradient(algorithm, params, together)
    assert_close(direction, {name: (alone[0][name] + alone[1][name]) / 2 for name in params})


def test_fomaml_equals_maml_with_detached_inner_gradients() -> None:
    """Against a loop over plain autograd, where the inner gradients are constants."""
    algorithm = MAML(headed("learned"), inner_lr=0.5, inner_steps=3, first_order=True)
    params, one = parameters(algorithm), task()
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    fast = dict(leaves)
    for _ in range(3):
        logits = algorithm.network.apply(fast, one.support_x)
        slopes = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, one.support_y), list(fast.values()))
        fast = {name: value - 0.5 * slope for (name, value), slope in zip(fast.items(), slopes, strict=True)}
    torch.nn.functional.cross_entropy(algorithm.network.apply(fast, one.query_x), one.query_y).backward()
    gradient, _ = algorithm.meta_gradient(params, one)
    for name, value in leaves.items():
        assert_close(gradient[name], value.grad)
    exact, _ = replace(algorithm, first_order=False).meta_gradient(params, one)
    assert not torch.allclose(exact["body.0.weight"], gradient["body.0.weight"])


def test_maml_is_second_order_and_not_silently_first_order() -> None:
    """Swapping `.data` cuts the graph: the meta-gradient is then first order, or nothing, and no one notices."""
    algorithm = MAML(headed("learned"), inner_lr=0.5, inner_steps=3)
    params, one = parameters(algorithm), task()
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    fast = dict(leaves)
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(algorithm.network.apply(fast, one.support_x), one.support_y)
        slopes = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
        fast = {name: value - 0.5 * slope for (name, value), slope in zip(fast.items(), slopes, strict=True)}
    torch.nn.functional.cross_entropy(algorithm.network.apply(fast, one.query_x), one.query_y).backward()
    gradient, _ = algorithm.meta_gradient(params, one)
    for name, value in leaves.items():
        assert_close(gradient[name], value.grad)


def test_metasgd_with_equal_step_sizes_is_maml() -> None:
    maml, metasgd = MAML(headed(), 0.3, 2), MetaSGD(headed(), 0.3, 2)
    params, one = parameters(metasgd), task()
    plain = {name: value for name, value in params.items() if not name.startswith("meta.")}
    gradient, metrics = metasgd.meta_gradient(params, one)
    expected, expected_metrics = maml.meta_gradient(plain, one)
    assert_close({name: gradient[name] for name in plain}, expected)
    assert_close(metrics, expected_metrics)
    assert any(name.startswith("meta.alpha.") and value.any() for name, value in gradient.items())


def test_anil_leaves_the_backbone_alone() -> None:
    algorithm = ANIL(headed(), inner_lr=0.5, inner_steps=3)
    params = parameters(algorithm)
    fast = algorithm.adapt(params, task()).params
    assert all(torch.equal(fast[name], params[name]) for name in params if name.startswith("body."))
    assert not torch.equal(fast["head.weight"][0], params["head.weight"][0])


def test_anil_without_a_backbone_is_maml() -> None:
    network, one = Headed(Identity(INPUTS)), task()
    anil, maml = (kind(network, 0.5, 4) for kind in (ANIL, MAML))
    assert_close(anil.logits(anil.adapt({}, one), one.query_x), maml.logits(maml.adapt({}, one), one.query_x))


def test_first_order_anil_treats_inner_gradients_as_constants() -> None:
    algorithm = ANIL(headed("learned"), inner_lr=0.5, inner_steps=1, first_order=True)
    params, one = parameters(algorithm), task()
    fast = algorithm.adapt(params, one).params
    head = {name: value for name, value in fast.items() if name.startswith("head.")}

    def query_loss(params: dict[str, torch.Tensor]) -> torch.Tensor:
        return task_loss(
            algorithm.network.apply(params | head, one.query_x), one.query_y, one.query_mask, "cross_entropy"
        )

    expected = torch.func.grad(query_loss)(params)
    gradient, _ = algorithm.meta_gradient(params, one)
    assert_close(gradient["body.0.weight"], expected["body.0.weight"])


def test_test_steps_are_for_testing_alone() -> None:
    few, many = MAML(headed(), 0.5, 1), MAML(headed(), 0.5, 1, test_steps=20)
    params, one = parameters(few), task()
    assert_close(few.meta_gradient(params, one), many.meta_gradient(params, one))
    fitted = many.logits(many.adapt(params, one), one.support_x).log_softmax(-1)
    assert fitted.gather(1, one.support_y[:, None]).mean() > -0.1


def test_the_loss_is_a_mean_over_rows() -> None:
    """The 0.4 of MAML's own code, which sums over classes, is 0.4 * way here: the mean must not depend on the shot."""
    logits, y = torch.randn(6, 3, generator=generator()), torch.tensor([0, 1, 2, 0, 1, 2])
    expected = torch.nn.functional.cross_entropy(logits, y)
    assert_close(task_loss(logits, y, torch.ones(6), "cross_entropy"), expected)
    twice = task_loss(torch.cat([logits] * 2), torch.cat([y] * 2), torch.ones(12), "cross_entropy")
    assert_close(twice, expected)


def test_a_step_size_that_is_learned_stays_positive_and_has_a_gradient() -> None:
    algorithm = MAML(headed(), inner_lr=0.2, learn_inner_lr=True)
    params = parameters(algorithm)
    assert params["meta.log_inner_lr"].exp().item() == pytest.approx(0.2)
    assert algorithm.meta_gradient(params, task())[0]["meta.log_inner_lr"] != 0


def test_descend_does_not_change_where_it_starts() -> None:
    start = {"w": torch.tensor(3.0)}
    descend(lambda at: at["w"] ** 2, start, 0.1, 5)
    assert start["w"] == 3.0


@pytest.mark.parametrize("start", ["zero", "shared"])
def test_heads_serve_any_way(start: str) -> None:
    algorithm = MAML(Headed(MLP(INPUTS, (4,)), start))  # type: ignore[arg-type]
    params = parameters(algorithm)
    for way in (2, 7):
        one = task(way=way)
        assert algorithm.logits(algorithm.adapt(params, one), one.query_x).shape == (len(one.query_x), way)


def test_a_learned_head_has_a_fixed_way() -> None:
    algorithm = MAML(headed("learned"))
    with pytest.raises(UsageError, match="3 outputs and the task 4 classes"):
        algorithm.adapt(parameters(algorithm), task(way=WAY + 1))


@pytest.mark.parametrize(("start", "outputs"), [("zero", 3), ("shared", 3), ("learned", None)])
def test_outputs_belong_to_learned_heads(start: str, outputs: int | None) -> None:
    with pytest.raises(UsageError, match="learned"):
        Headed(MLP(INPUTS, (4,)), start, outputs)  # type: ignore[arg-type]


def test_an_inner_rate_of_zero_changes_nothing() -> None:
    algorithm = MAML(headed(), inner_lr=0.0)
    fast = algorithm.adapt(parameters(algorithm), task(shot=SHOT)).params
    assert torch.equal(fast["body.0.weight"], parameters(algorithm)["body.0.weight"])
