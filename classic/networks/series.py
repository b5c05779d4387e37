"""Rows of multivariate time series, and the encoder of TapNet: convolutions over random groups of dimensions, beside an
LSTM. Zhang, Gao, Lin and Lu, AAAI 2020; with normalisation per series where the paper has batch norm, under which a
query's answer would depend on the other queries.

Series are of any length: convolutions, means and the LSTM see only the steps at which something was observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from classic.functional.base import Described
from classic.networks.lstm import cell_params, step
from classic.networks.mlp import MLP
from classic.networks.text import unit
from evals.content import Content
from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from fewshot.core.seeds import random_state
from fewshot.core.series import Series, values_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


class SeriesRows:
    """Series as arrays, each dimension scaled by its mean and deviation over the training series.

    Args:
        length: steps of a row. Longer series are thinned out to it by linear interpolation; what shorter ones lack is
            missing.
    """

    pad = None
    modality = "series"

    def __init__(self, length: int) -> None:
        if length < 1:
            raise UsageError(f"length {length} is too small; it is the number of steps that are read, from 1")
        self.length = length
        self._mean = np.zeros(1, np.float32)
        self._deviation = np.ones(1, np.float32)

    @property
    def dimensions(self) -> int:
        """Of the series that it was fitted to."""
        return len(self._mean)

    @property
    def blank(self) -> Content:
        """A series without content."""
        return Series.of(np.zeros((self.dimensions, 1)))

    @property
    def fingerprint(self) -> str:
        """Hash of the parameters and of what was learned."""
        return digest([self.describe(), self._mean.tolist(), self._deviation.tolist()])

    def fit(self, texts: Sequence[str]) -> None:
        """Mean and deviation of every dimension."""
        values = values_of(texts)
        steps = np.concatenate(values, axis=1)
        seen = np.isfinite(steps)
        count = np.maximum(seen.sum(axis=1), 1)
        mean = np.where(seen, steps, 0).sum(axis=1) / count
        spread = np.where(seen, steps - mean[:, None], 0)
        deviation = np.sqrt((spread**2).sum(axis=1) / count)
        self._mean = mean.astype(np.float32)
        self._deviation = np.where(deviation > 0, deviation, 1).astype(np.float32)

    def rows(self, texts: Sequence[Content]) -> Tensor:
        """(len(texts), dimensions, length) float32; NaN where nothing was observed.

        Raises:
            UsageError: a text among the series, or a series of another number of dimensions.
        """
        import torch

        values = values_of(texts)
        if values and len(values[0]) != self.dimensions:
            raise UsageError(
                f"series of {len(values[0])} dimensions, where those that were trained on have {self.dimensions}"
            )
        found = np.full((len(values), self.dimensions, self.length), np.nan, np.float32)
        for row, each in zip(found, values, strict=True):
            short = _thinned(each, self.length)
            row[:, : short.shape[1]] = (short - self._mean[:, None]) / self._deviation[:, None]
        return torch.from_numpy(found)

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": "series", "length": self.length}

    def state(self) -> dict[str, Tensor]:
        """Means and deviations."""
        import torch

        return {"mean": torch.from_numpy(self._mean), "deviation": torch.from_numpy(self._deviation)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self._mean, self._deviation = (state[name].numpy() for name in ("mean", "deviation"))


def _thinned(values: np.ndarray, length: int) -> np.ndarray:
    """(dimensions, at most `length`) by linear interpolation. Between two steps of which one is missing, it is too."""
    steps = values.shape[1]
    if steps <= length:
        return values
    at = np.linspace(0, steps - 1, length)
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, steps - 1)
    weight = (at - before).astype(np.float32)
    return values[:, before] * (1 - weight) + values[:, after] * weight


@dataclass(frozen=True)
class SeriesEncoder(Described):
    """x: (n, dimensions, length), NaN where nothing was observed -> (n, features), of length 1.

    Args:
        features: columns of the result.
        groups: random groups of dimensions, each with convolutions of its own. share: of the dimensions that is in
            each, by their number divided by the groups: 1.5 in the paper, so that groups overlap.
        filters: of every convolution. widths: steps that the filters of each layer see.
        recurrent: width of the LSTM; 0 leaves it out.
        length: steps of a series that are read.
        dimensions: of a series; None takes those of the training series.
    """

    features: int = 64
    groups: int = 3
    share: float = 1.5
    filters: int = 32
    widths: tuple[int, ...] = (7, 5, 3)
    recurrent: int = 32
    length: int = 64
    dimensions: int | None = None
    name = "series"
    modality = "series"
    vectorizes = True
    lr = 1e-3

    def __post_init__(self) -> None:
        if min(self.features, self.groups, self.filters) < 1 or self.recurrent < 0 or self.share <= 0:
            raise UsageError(
                "features, groups and filters of series must be 1 or more, share above 0, recurrent from 0"
            )
        if any(width % 2 == 0 for width in self.widths) or not self.widths:
            raise UsageError(f"widths {self.widths} must be odd numbers, so that a filter has a middle")

    def inputs(self) -> SeriesRows:
        """Scaled values."""
        return SeriesRows(self.length)

    def fitted(self, inputs: SeriesRows) -> SeriesEncoder:
        """The network for the series that were met in training."""
        return replace(self, dimensions=inputs.dimensions)

    @property
    def members(self) -> list[list[int]]:
        """The dimensions of every group: the paper's random dimension permutation, the same for every seed."""
        dimensions = self.dimensions or 1
        size = min(dimensions, max(1, int(self.share * dimensions / self.groups)))
        orders = [random_state("dimensions of a group", group).permutation(dimensions) for group in range(self.groups)]
        return [order[:size].tolist() for order in orders]

    def init(self, generator: torch.Generator) -> Params:
        """`conv<layer>.*`, `lstm.*` and `out.*`."""
        import torch

        params: Params = {}
        inputs = len(self.members[0])
        for layer, width in enumerate(self.widths):
            std = (2 / (inputs * width)) ** 0.5
            weight = torch.randn(self.groups * self.filters, inputs, width, generator=generator) * std
            params |= {f"conv{layer}.weight": weight, f"conv{layer}.bias": torch.zeros(self.groups * self.filters)}
            inputs = self.filters
        if self.recurrent:
            cell = cell_params(self.dimensions or 1, self.recurrent, self.recurrent, generator)
            params |= {f"lstm.{name}": value for name, value in cell.items()}
        return params | {f"out.{name}": value for name, value in self._out.init(generator).items()}

    @property
    def _out(self) -> MLP:
        return MLP(self.groups * self.filters + self.recurrent, (2 * self.features, self.features))

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, dimensions, length) -> (n, features)."""
        import torch

        observed = x.isfinite()
        values = x.where(observed, 0.0).to(params["conv0.weight"].dtype)
        seen = observed.any(dim=-2).to(values.dtype)
        found = self._convolved(params, values, seen)
        if self.recurrent:
            found = torch.cat([found, self._read(params, values, seen)], dim=-1)
        out = {name.removeprefix("out."): value for name, value in params.items() if name.startswith("out.")}
        return unit(self._out.apply(out, found))

    def _convolved(self, params: Params, values: Tensor, seen: Tensor) -> Tensor:
        """(n, groups * filters) means over the steps that were seen."""
        from torch.nn.functional import conv1d, relu

        maps = values[:, [dimension for group in self.members for dimension in group]]
        for layer in range(len(self.widths)):
            weight, bias = params[f"conv{layer}.weight"], params[f"conv{layer}.bias"]
            maps = conv1d(maps, weight, bias, padding=weight.shape[-1] // 2, groups=self.groups)
            maps = relu(_normalised(maps.unflatten(-2, (self.groups, -1)), seen).flatten(-3, -2)) * seen[:, None]
        return maps.sum(dim=-1) / seen.sum(dim=-1, keepdim=True).clamp(min=1)

    def _read(self, params: Params, values: Tensor, seen: Tensor) -> Tensor:
        """(n, recurrent) output of the LSTM after the last step that was seen."""
        cell = {name.removeprefix("lstm."): value for name, value in params.items() if name.startswith("lstm.")}
        output = carry = values.new_zeros(len(values), self.recurrent)
        for at in range(values.shape[-1]):
            new_output, new_carry = step(cell, values[..., at], output, carry)
            exists = seen[:, at, None] > 0
            output, carry = new_output.where(exists, output), new_carry.where(exists, carry)
        return output


def _normalised(maps: Tensor, seen: Tensor) -> Tensor:
    """(n, groups, filters, length) with mean 0 and deviation 1 in every group, over the steps that were seen."""
    weight = seen[:, None, None]
    count = (weight.sum(dim=-1, keepdim=True) * maps.shape[-2]).clamp(min=1)
    centred = (maps - (maps * weight).sum(dim=(-2, -1), keepdim=True) / count) * weight
    return centred / ((centred.square().sum(dim=(-2, -1), keepdim=True) / count) + 1e-5).sqrt()
