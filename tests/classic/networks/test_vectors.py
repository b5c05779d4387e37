"""Networks on vectors, and heads."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from classic.functional.base import Network
from classic.networks import MLP, Headed, Identity, Residual
from classic.networks.lstm import attend_and_read, cell_params, read
from tests.classic.functional.toy import generator

NETWORKS = {
    "mlp": MLP(4, (5, 3)),
    "mlp activated": MLP(4, (3,), activate_last=True),
    "mlp small start": MLP(4, (5, 3), std=0.01),
    "residual": Residual(4, 7),
    "identity": Identity(4),
    "headed shared": Headed(MLP(4, (5,)), "shared"),
    "headed learned": Headed(MLP(4, (5,)), "learned", 3),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_generator_alone_decides_the_parameters(network: Network) -> None:
    torch.manual_seed(1)
    first = network.init(generator(7))
    torch.manual_seed(2)
    assert_close(network.init(generator(7)), first, rtol=0, atol=0)
    assert all(value.dtype == torch.float32 for value in first.values())


@pytest.mark.parametrize("name", ["mlp", "mlp activated", "residual", "identity"])
def test_features_are_the_columns_of_the_output(name: str) -> None:
    network = NETWORKS[name]
    assert network.apply(network.init(generator()), torch.randn(6, 4)).shape == (6, network.features)


def test_mlp_equals_torch_layers() -> None:
    network, x = MLP(4, (5, 3)), torch.randn(6, 4, generator=generator())
    params = network.init(generator())
    layers = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    layers.load_state_dict({name.replace("1.", "2."): value for name, value in params.items()})
    assert_close(network.apply(params, x), layers(x))


def test_residual_begins_as_the_identity() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(Residual(4).apply(Residual(4).init(generator()), x), x)


def test_lstm_equals_torch() -> None:
    """Our gates are in the order write, forget, out, new; torch's are write, forget, new, out."""
    cell, rows = cell_params(4, 4, 4, generator()), torch.randn(6, 4, generator=generator())
    theirs = torch.nn.LSTM(4, 4)
    write, forget, out, new = cell["weight"].chunk(4)
    weight = torch.cat([write, forget, new, out])
    write, forget, out, new = cell["bias"].chunk(4)
    state = {"weight_ih_l0": weight[:, :4], "weight_hh_l0": weight[:, 4:]}
    biases = {"bias_ih_l0": torch.cat([write, forget, new, out]), "bias_hh_l0": torch.zeros(16)}
    theirs.load_state_dict(state | biases)
    assert_close(read(cell, rows, torch.ones(6)), theirs(rows)[0])


def test_lstm_passes_over_rows_that_do_not_exist() -> None:
    cell, rows = cell_params(4, 4, 4, generator()), torch.randn(3, 4, generator=generator())
    padded = torch.cat([rows[:1], torch.full((2, 4), 9.0), rows[1:]])
    found = read(cell, padded, torch.tensor([1.0, 0, 0, 1, 1]))
    assert_close(found[[0, 3, 4]], read(cell, rows, torch.ones(3)))


def test_attention_ignores_rows_that_do_not_exist() -> None:
    cell, rng = cell_params(4, 8, 4, generator()), generator(1)
    queries, support = torch.randn(2, 4, generator=rng), torch.randn(3, 4, generator=rng)
    padded = torch.cat([support, torch.full((1, 4), 9.0)])
    found = attend_and_read(cell, queries, padded, torch.tensor([1.0, 1, 1, 0]), 3)
    assert_close(found, attend_and_read(cell, queries, support, torch.ones(3), 3))
