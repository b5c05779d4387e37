"""The encoder of time series: what is missing does not count, and what it was fitted to decides what it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.func import vmap
from torch.testing import assert_close

from classic.networks.series import SeriesEncoder, SeriesRows
from evals.series.waves import wave
from fewshot.core.errors import UsageError
from fewshot.core.series import Series
from tests.classic.functional.toy import generator

SMALL = SeriesEncoder(features=5, groups=2, filters=4, recurrent=3, length=12, dimensions=3)
NAN = float("nan")


def params() -> dict[str, torch.Tensor]:
    return {name: value.double() for name, value in SMALL.init(generator()).items()}


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(1), dtype=torch.float64)


@pytest.mark.parametrize("recurrent", [0, 3])
def test_steps_behind_the_end_and_before_the_start_change_nothing(recurrent: int) -> None:
    network = SeriesEncoder(features=5, groups=2, filters=4, recurrent=recurrent, dimensions=3)
    weights = {name: value.double() for name, value in network.init(generator()).items()}
    x = batch(4, 3, 9)
    nothing = torch.full((4, 3, 6), torch.nan, dtype=torch.float64)
    expected = network.apply(weights, x)
    assert expected.shape == (4, 5)
    assert_close(network.apply(weights, torch.cat([x, nothing], dim=-1)), expected)
    assert_close(network.apply(weights, torch.cat([nothing, x], dim=-1)), expected)


def test_series_are_read_alike_alone_together_and_in_tasks() -> None:
    x = batch(2, 4, 3, 9)
    x[0, 1, :, 7:] = torch.nan
    x[1, 2, 1, 3] = torch.nan
    together = vmap(SMALL.apply, in_dims=(None, 0))(params(), x)
    alone = torch.stack([torch.cat([SMALL.apply(params(), each[None]) for each in task]) for task in x])
    assert_close(together, alone)
    assert_close(together.norm(dim=-1), torch.ones(2, 4, dtype=torch.float64))


def test_a_missing_value_has_no_gradient_and_spoils_none() -> None:
    x = batch(1, 3, 6)
    x[0, 1, 2] = torch.nan
    weights = {name: value.requires_grad_() for name, value in params().items()}
    SMALL.apply(weights, x)[0, 0].backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in weights.values())


def test_groups_overlap_and_are_the_same_every_time() -> None:
    groups = SeriesEncoder(groups=3, share=1.5, dimensions=6).members
    assert [len(set(group)) for group in groups] == [3, 3, 3]
    assert groups == SeriesEncoder(groups=3, share=1.5, dimensions=6).members
    assert SeriesEncoder(groups=3, dimensions=1).members == [[0], [0], [0]]


@pytest.mark.parametrize(
    "arguments", [{"widths": (8, 5, 3)}, {"widths": ()}, {"groups": 0}, {"recurrent": -1}, {"share": 0}]
)
def test_sizes_without_a_meaning_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(arguments))):
        SeriesEncoder(**arguments)


class TestRows:
    def test_dimensions_are_scaled_by_what_was_observed(self) -> None:
        inputs = SeriesRows(4)
        first, second = Series.of([[1, 3], [5, NAN]]), Series.of([[1, 3, NAN], [5, 5, 5]])
        inputs.fit([first, second])
        expected = [[[-1, 1, NAN, NAN], [0, NAN, NAN, NAN]], [[-1, 1, NAN, NAN], [0, 0, 0, NAN]]]
        np.testing.assert_array_equal(inputs.rows([first, second]).numpy(), expected)
        again = SeriesRows(4)
        again.restore(inputs.state())
        assert again.fingerprint == inputs.fingerprint != SeriesRows(4).fingerprint
        assert inputs.rows([inputs.blank]).shape == (1, 2, 4)

    def test_longer_series_are_thinned_out(self) -> None:
        inputs = SeriesRows(3)
        assert inputs.rows([Series.of([0, 1, 2, 3, 4, 5, 6])]).tolist() == [[[0, 3, 6]]]

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (["a text"], "'a text' is none; use an encoder of texts, or a task of series"),
            ([Series.of([[1], [2]])], "series of 2 dimensions, where those that were trained on have 1"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, texts: list[str], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            SeriesRows(3).rows(texts)

    def test_a_length_is_positive(self) -> None:
        with pytest.raises(UsageError, match="length 0 is too small"):
            SeriesRows(0)


def test_it_fits_the_series_that_were_met() -> None:
    inputs = SMALL.inputs()
    inputs.fit([wave("sine 8 first", at) for at in range(3)])
    assert SeriesEncoder().fitted(inputs).dimensions == 3
