"""A module of one's own on the functional core, and learn2learn's habits on top of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

import classic
from classic import ANIL, MAML, R2D2, Headed, MetaSGD, ModuleMAML, Network, ProtoNet, Reptile, TasksetTasks, TensorTask
from classic.functional.executors import Executor, build_executor
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import FewshotError, UsageError
from tests.classic.functional.toy import INPUTS, WAY, generator, task, tasks


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.gru = nn.Embedding(20, 4), nn.GRU(4, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gru(self.embedding(x))[0][:, -1]


class Aliased(nn.Module):
    """A tied weight, and a layer that stands in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(INPUTS, INPUTS), nn.Linear(INPUTS, INPUTS)
        self.second.weight = self.first.weight
        self.head = nn.Linear(INPUTS, WAY)
        self.order = [self.first, self.second]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.order:
            x = layer(x).tanh()
        return self.head(x)


class With(nn.Module):
    """A linear layer with something behind it."""

    def __init__(self, behind: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.behind = nn.Linear(INPUTS, 3), behind
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.behind(self, self.layer(x))


def _counted(module: Any, x: torch.Tensor) -> torch.Tensor:
    module.calls += 1
    return x


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(INPUTS, 8), nn.Tanh(), nn.Linear(8, WAY)).double()


def frozen() -> nn.Sequential:
    module = small()
    module[0].requires_grad_(False)
    return module


def attention(dropout: float = 0.0) -> nn.Sequential:
    return nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, dropout, batch_first=True), nn.Flatten())


def attention_classifier() -> nn.Module:
    """Inputs as three tokens of two numbers."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(2, 1, 4, 0.0, batch_first=True)
    return nn.Sequential(nn.Unflatten(1, (3, 2)), layer, nn.Flatten(), nn.Linear(6, WAY)).double()


X = torch.randn(3, 4, 8, generator=generator())


@pytest.mark.parametrize(
    ("module", "example", "features", "vectorizes"),
    [
        (small(), None, WAY, True),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4)), torch.ones(2, 1, 8, 8), 4, True),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), None, 2, True),
        (attention(), X, 32, True),
        (attention(0.1).eval(), X, 32, True),
        (nn.Sequential(nn.Linear(INPUTS, 3), nn.BatchNorm1d(3)).eval(), None, 3, True),
        (Aliased(), None, WAY, True),
        (nn.Flatten(), X, 32, True),
        (Recurrent(), None, 5, False),
        (With(lambda _, x: x if x.sum() > 0 else -x), None, 3, False),
    ],
    ids=["linear", "conv", "pooled", "attention", "no dropout", "frozen norm", "tied", "nothing", "gru", "branches"],
)
def test_a_module_says_how_wide_it_is_and_whether_it_vectorizes(
    module: nn.Module, example: torch.Tensor | None, features: int, vectorizes: bool
) -> None:
    before = torch.random.get_rng_state()
    network = Network.of(module, example)
    assert (network.features, network.vectorizes) == (features, vectorizes)
    assert build_executor(network=Headed(network)).name == ("vmap" if vectorizes else "loop")
    assert torch.equal(before, torch.random.get_rng_state())
    assert json.loads(json.dumps(network.describe()))["module"] == type(module).__name__


@pytest.mark.promise(147)
@pytest.mark.parametrize(
    ("module", "example", "told"),
    [
        (
            nn.Sequential(nn.Linear(INPUTS, 3), nn.BatchNorm1d(3)),
            None,
            "layer '1' is BatchNorm1d with batch stat.*eval",
        ),
        (nn.Sequential(nn.Linear(INPUTS, 3), nn.Dropout(0.1)), None, "layer '1' is Dropout, which draws.*eval"),
        (nn.Sequential(nn.Linear(INPUTS, 3), nn.RReLU()), None, "layer '1' is RReLU, which draws"),
        (attention(0.1), X, "MultiheadAttention, which draws"),
        (nn.InstanceNorm1d(4, track_running_stats=True), X, "the module is InstanceNorm1d, whose statistics change"),
        (nn.utils.parametrizations.spectral_norm(nn.Linear(INPUTS, 3)), None, "changes its '.*_u'"),
        (With(_counted), None, "changes its 'calls'"),
        (With(lambda _, x: nn.functional.dropout(x, 0.5)), None, "on the same rows differ"),
        (With(lambda _, x: x - x.mean(0)), None, "depends on the other rows"),
        (nn.LazyLinear(3), None, "LazyLinear, whose shape is still open"),
        (nn.ReLU(), None, "does not tell what it takes. Give a few rows"),
        (nn.Linear(3, 2), torch.ones(2, 4), "fails on the example: mat1 and mat2"),
        (nn.Linear(3, 2), torch.ones(0, 3), "no rows"),
        (nn.Conv2d(1, 2, 3), None, r"makes \(2, 2, 30, 30\) of.*Flatten"),
        (nn.LSTM(3, 4), None, "gives tuple, not a tensor"),
        (print, None, "takes a torch module"),
    ],
)
def test_a_module_that_is_no_function_of_single_rows_is_refused(module: Any, example: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Network.of(module, example)


@pytest.mark.parametrize("head", [False, True], ids=["own head", "head on top"])
@pytest.mark.parametrize("executor", ["loop", "vmap"])
def test_algorithms_run_on_a_module(executor: str, head: bool) -> None:
    network = Network.of(small())
    batch = tasks(3)
    for algorithm in (MAML(Headed(network) if head else network), Reptile(network), ProtoNet(network)):
        params = algorithm.init(generator())
        if head:
            params = {name: value.double() for name, value in params.items()}
        gradient, metrics = classic.meta_gradient(algorithm, params, batch, executor)
        assert gradient.keys() == params.keys()
        assert metrics["loss"].shape == (3,)
        assert classic.predict(algorithm, params, batch, executor).shape == (*batch.query_y.shape, WAY)


def test_what_is_frozen_stays_and_weights_go_in_and_out() -> None:
    module = frozen()
    network = Network.of(module)
    params = network.init(generator())
    assert set(params) == {"2.weight", "2.bias"}
    changed = {name: value + 1 for name, value in params.items()}
    out = network.state_dict(changed)
    assert out.keys() == module.state_dict().keys()
    assert_close(network.params(out), changed)
    module.load_state_dict(out)
    x = task().query_x
    assert_close(module(x), network.apply(changed, x))
    assert_close(out["0.weight"], small()[0].weight.detach())
    with pytest.raises(UsageError, match=r"'2.weight' should be \(3, 8\), it is missing"):
        network.params(nn.Linear(2, 2).state_dict())


def test_weights_under_a_head_have_names_of_their_own() -> None:
    network = Network.of(small())
    headed = Headed(network)
    params = headed.init(generator())
    assert_close(network.state_dict(headed.body(params)), dict(small().state_dict()))
    with pytest.raises(UsageError, match=r"'0.weight' should be \(8, 6\), it is missing; .* headed\.body\(params\)"):
        network.state_dict(params)


def test_weights_of_a_tied_module_stand_under_all_its_names() -> None:
    network = Network.of(Aliased())
    out = network.state_dict({name: value + 1 for name, value in network.init(generator()).items()})
    assert_close(out["first.weight"], out["second.weight"])
    Aliased().load_state_dict(out)


def test_a_module_of_another_width_than_the_task_is_refused() -> None:
    maml = MAML(Network.of(nn.Linear(INPUTS, WAY + 1).double()))
    with pytest.raises(UsageError, match="the module has 4 outputs and the task 3 classes"):
        maml.meta_gradient(maml.init(generator()), task())


@pytest.mark.promise(148)
@pytest.mark.parametrize("first_order", [False, True], ids=["second order", "first order"])
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("make", [small, lambda: Aliased().double(), attention_classifier])
def test_clone_and_adapt_give_the_meta_gradient_of_the_functional_core(
    make: Callable[[], nn.Module], steps: int, first_order: bool
) -> None:
    module, one = make(), task()
    maml = MAML(module, lr=0.3, first_order=first_order)
    learner = maml.clone()
    for _ in range(steps):
        learner.adapt(cross_entropy(learner(one.support_x), one.support_y))
    cross_entropy(learner(one.query_x), one.query_y).backward()
    network = Network.of(module, one.query_x)
    functional = MAML(network, inner_lr=0.3, inner_steps=steps, first_order=first_order)
    expected, _ = classic.meta_gradient(functional, network.init(generator()), tasks(1))
    assert_close({name: value.grad for name, value in module.named_parameters()}, expected, rtol=1e-9, atol=1e-12)
    adapted = classic.adapt(functional, network.init(generator()), one)
    assert_close(functional.logits(adapted, one.query_x), learner(one.query_x).detach())


def test_a_clone_trains_the_module_by_an_ordinary_optimiser_and_leaves_it_alone_until_then() -> None:
    module = small()
    maml = MAML(module, 0.5)
    assert isinstance(maml, ModuleMAML)
    optimiser = torch.optim.Adam(maml.parameters(), 0.02)
    before = {name: value.clone() for name, value in maml.state_dict().items()}
    assert list(before) == [f"module.{name}" for name in module.state_dict()]
    losses = []
    for seed in range(60):
        one, learner = task(seed), maml.clone()
        learner.adapt(cross_entropy(learner(one.support_x), one.support_y))
        loss = cross_entropy(learner(one.query_x), one.query_y)
        if not losses:
            assert_close(maml.state_dict(), before)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])


def test_a_clone_is_the_module_with_other_weights() -> None:
    """Its methods and attributes, a clone of the clone, and a state dict that the module takes."""
    module, one = Aliased().double(), task()
    learner = MAML(module, lr=0.5).clone()
    learner.adapt(cross_entropy(learner(one.support_x), one.support_y))
    again = learner.clone()
    assert_close(again(one.query_x), learner(one.query_x))
    assert learner.order[0] is learner.first is not module.first
    assert not torch.equal(learner.head.weight, module.head.weight)
    module.load_state_dict(learner.module.state_dict())
    assert_close(module(one.query_x), learner(one.query_x))
    with pytest.raises(AttributeError):
        learner.body  # noqa: B018


def _unused(module: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    return module[0](x)[:, :WAY]


@pytest.mark.parametrize(
    ("options", "module", "forward", "told"),
    [
        (
            {},
            small(),
            lambda learner, x: _unused(learner.module, x),
            "'2.bias' has no part in the loss; with allow_unu",
        ),
        ({"allow_unused": True}, small(), lambda learner, x: _unused(learner.module, x), None),
        ({"allow_nograd": True}, small(), lambda learner, x: _unused(learner.module, x), None),
        ({}, frozen(), lambda learner, x: learner(x), "'0.bias' requires no gradient; with allow_nograd=True"),
        ({"allow_nograd": True}, frozen(), lambda learner, x: learner(x), None),
        ({}, small(), lambda learner, x: learner(x).detach(), "depends on no parameter of this learner"),
        (
            {},
            small(),
            lambda learner, x: learner.clone()(x).detach().requires_grad_(),
            "depends on no parameter of this",
        ),
        ({}, small(), lambda _, x: MAML(small(), 0.1).clone()(x), "depends on no parameter of this learner"),
        (
            {},
            small(),
            lambda learner, x: learner(x * torch.nan),
            "gradient of '0.weight' is not finite .the loss is nan",
        ),
        ({}, small(), lambda learner, x: learner(x).sub(1e5).exp().log(), "is not finite"),
    ],
)
def test_what_a_loss_does_not_reach_is_told_unless_it_is_allowed(
    options: dict[str, bool], module: nn.Module, forward: Callable, told: str | None
) -> None:
    one, learner = task(), MAML(module, lr=0.5, **options).clone()
    before = {name: value.detach().clone() for name, value in learner.named_parameters()}
    loss = cross_entropy(forward(learner, one.support_x), one.support_y)
    if told is None:
        learner.adapt(loss)
        assert any(not torch.equal(value, before[name]) for name, value in learner.named_parameters())
        return
    with pytest.raises(FewshotError, match=told):
        learner.adapt(loss)
    assert_close(dict(learner.named_parameters()), before)


@pytest.mark.promise(147)
@pytest.mark.parametrize("layer", [nn.BatchNorm1d(8), nn.Dropout(0.5), nn.AlphaDropout(0.5)])
def test_batch_statistics_and_dropout_are_refused_while_they_are_on(layer: nn.Module) -> None:
    module = nn.Sequential(nn.Linear(INPUTS, 8), layer, nn.Linear(8, WAY))
    with pytest.raises(UsageError, match=r"layer '1' is .*module\.eval\(\)"):
        MAML(module, lr=0.1)
    maml = MAML(module.eval(), lr=0.1)
    maml.clone()
    maml.train()
    with pytest.raises(UsageError, match=r"layer '1' is .*module\.eval\(\)"):
        maml.clone()


@pytest.mark.parametrize("kind", [ANIL, Headed, MAML, MetaSGD, ProtoNet, R2D2, Reptile])
def test_what_takes_a_network_says_how_a_module_becomes_one(kind: Any) -> None:
    for options in ({}, {"inner_lr": 0.1} if kind in (ANIL, MAML, MetaSGD, Reptile) else {}):
        with pytest.raises(UsageError, match=rf"{kind.__name__} takes a network, not a module: Network\.of\(module\)"):
            kind(small(), **options)


def test_a_meta_gradient_of_nothing_but_nan_is_told() -> None:
    maml, batch = MAML(Network.of(small()), 0.1, 1), tasks(3)
    params = maml.init(generator())
    broken = batch._replace(support_x=batch.support_x * torch.nan)
    with pytest.raises(FewshotError, match=r"all 3 tasks diverged.*look for NaN in the inputs"):
        classic.meta_gradient(maml, params, broken)
    one_broken = TensorTask(*(torch.cat([a, b[:1]]) for a, b in zip(batch, broken, strict=True)))
    gradient, metrics = classic.meta_gradient(maml, params, one_broken)
    assert metrics["diverged"].tolist() == [0, 0, 0, 1]
    assert_close(gradient, classic.meta_gradient(maml, params, batch)[0])


class Sampler:
    """As a taskset of learn2learn with ways=3 and KShots(k=2 * shot): rows of a class stand together."""

    def __init__(self, rows: int = 4, names: tuple[int, ...] = (0, 1, 2)) -> None:
        self.labels = torch.tensor(names).repeat_interleave(rows)
        self.data = torch.arange(len(self.labels) * INPUTS, dtype=torch.float64).reshape(-1, INPUTS)

    def sample(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.data, self.labels


def test_a_taskset_is_split_as_in_the_examples_of_learn2learn() -> None:
    taskset = Sampler()
    batch = TasksetTasks(taskset, shot=2).batch(0, 3)
    even = torch.arange(len(taskset.labels)) % 2 == 0
    for at in range(3):
        assert_close(batch.support_x[at], taskset.data[even])
        assert_close(batch.support_y[at], taskset.labels[even])
        assert_close(batch.query_x[at], taskset.data[~even])
        assert_close(batch.query_y[at], taskset.labels[~even])
    assert batch.class_mask.shape == (3, WAY)
    assert batch.support_mask.dtype == torch.float64


@pytest.mark.parametrize(
    ("rows", "names", "support", "queries"),
    [
        (5, (0, 1), [0, 0, 1, 1], [0, 0, 0, 1, 1, 1]),
        (4, (7, 3), [1, 1, 0, 0], [1, 1, 0, 0]),
    ],
    ids=["what is left is asked", "labels are numbered"],
)
def test_classes_of_a_taskset(rows: int, names: tuple[int, ...], support: list[int], queries: list[int]) -> None:
    batch = TasksetTasks([Sampler(rows, names).sample()], shot=2).batch(0, 2)
    assert batch.support_y.tolist() == [support] * 2
    assert batch.query_y.tolist() == [queries] * 2


def _once() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    yield Sampler().sample()


X4, Y4 = Sampler().sample()


@pytest.mark.promise(149)
@pytest.mark.parametrize(
    ("taskset", "told"),
    [
        (Sampler(3), "task 1 of the taskset has 3 rows of class 0; 2 for support.* need 4 .*k=4"),
        ([(X4, Y4), (X4[:-1], Y4[:-1])], "task 2 of the taskset has 3 rows of class 2"),
        ([(X4[:0], Y4[:0])], "task 1 of the taskset has no rows"),
        ([(X4[:-1], Y4)], "11 rows of data and 12 labels"),
        ([(X4 / 0, Y4)], "values that are not finite"),
        ([(X4, Y4), Sampler(5).sample()], "differ in shape"),
        (_once(), "ended after 1 tasks and cannot begin again"),
        (3, "int is no taskset"),
    ],
    ids=["few", "one class", "empty", "labels", "nan", "shapes", "ends", "no taskset"],
)
def test_a_taskset_that_yields_something_else_is_told_in_one_line(taskset: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told) as raised:
        TasksetTasks(taskset, shot=2).batch(0, 2)
    assert "\n" not in str(raised.value)


def test_shot_of_a_taskset_is_checked() -> None:
    with pytest.raises(UsageError, match="shot 0 is too small"):
        TasksetTasks(Sampler(), shot=0)


def test_a_task_of_rows_that_all_exist() -> None:
    batch = tasks(2)
    made = TensorTask.of(batch.support_x, batch.support_y, batch.query_x, batch.query_y)
    assert_close(tuple(made), tuple(batch))
    waves = classic.Sinusoids().batch(0, 4)
    assert_close(tuple(TensorTask.of(waves.support_x, waves.support_y, waves.query_x, waves.query_y)), tuple(waves))


def test_public_names_are_found_and_importing_them_is_light() -> None:
    assert all(getattr(classic, name) is not None for name in classic.__all__)
    assert set(classic._HOME) == set(classic.__all__)
    assert issubclass(classic.LoopExecutor, Executor)
    with pytest.raises(AttributeError):
        classic.nothing  # noqa: B018
    code = "import sys, classic; assert 'torch' not in sys.modules; classic.MAML; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_replacing_an_argument_of_an_algorithm_keeps_the_rest() -> None:
    maml = MAML(Network.of(small()), 0.3)
    assert replace(maml, test_steps=7).network is maml.network


def test_every_algorithm_that_is_a_learner_has_a_public_name() -> None:
    learners = [entry.load() for entry in LEARNERS.entries().values() if "classic.algorithms." in entry.target]
    assert len(learners) > 10
    assert {each.algorithm.__name__ for each in learners} <= set(classic.__all__), "add it to classic/__init__.py"
