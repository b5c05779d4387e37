"""Sinusoid tasks, and that regression goes through the same algorithms."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from classic.algorithms.maml import MAML
from classic.functional.executors import build_executor
from classic.functional.sinusoid import BLOCK, Sinusoids
from classic.networks import MLP, Headed
from tests.classic.functional.toy import generator


def test_a_task_depends_on_its_number_alone() -> None:
    tasks = Sinusoids(shot=5, query=7, seed=3)
    across = tasks.batch(BLOCK - 2, BLOCK + 3)
    for at in range(5):
        alone = tasks.batch(BLOCK - 2 + at, BLOCK - 1 + at)
        assert_close(tuple(field[at] for field in across), tuple(field[0] for field in alone))


def test_shapes_and_ranges() -> None:
    batch = Sinusoids(shot=5, query=7).batch(0, 500)
    assert batch.support_x.shape == batch.support_y.shape == (500, 5, 1)
    assert batch.query_x.shape == (500, 7, 1)
    assert batch.class_mask.shape == (500, 1)
    assert -5 <= batch.query_x.min() < -4.5 < 4.5 < batch.query_x.max() <= 5
    assert 4 < batch.query_y.abs().max() <= 5


def test_support_and_queries_are_of_the_same_wave() -> None:
    """a sin(x - p) is a combination of sin x and cos x: two support points give the wave, and so every query."""
    batch = Sinusoids(shot=2, query=50, grid=True, seed=1).batch(0, 20)

    def basis(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.sin(), x.cos()], dim=-1).double()

    wave = torch.linalg.solve(basis(batch.support_x), batch.support_y.double())
    assert_close(basis(batch.query_x) @ wave, batch.query_y.double(), rtol=1e-3, atol=1e-2)


def test_maml_adapts_to_waves() -> None:
    algorithm = MAML(Headed(MLP(1, (20, 20), activate_last=True), "learned", 1), 0.02, 1, test_steps=5, loss="mse")
    params, executor, tasks = algorithm.init(generator()), build_executor(), Sinusoids()
    optimiser = torch.optim.Adam(list(params.values()), lr=5e-3)
    for step in range(300):
        direction, metrics = executor.meta_gradient(algorithm, params, tasks.batch(25 * step, 25 * step + 25))
        assert set(metrics) == {"loss", "diverged"}
        for name, value in params.items():
            value.grad = direction[name]
        optimiser.step()
    test = Sinusoids(query=50, grid=True, seed=1).batch(0, 100)
    error = (executor.predict(algorithm, params, test) - test.query_y).square().mean()
    assert error < 0.75 * test.query_y.square().mean()
