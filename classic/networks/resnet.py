"""Residual networks: ResNet-12, the larger backbone of the few-shot literature, and ResNet-18.

He et al., CVPR 2016, arXiv 1512.03385; ResNet-12 as in TADAM (Oreshkin et al., NeurIPS 2018, arXiv 1805.10123) and
MetaOptNet (Lee et al., CVPR 2019, arXiv 1904.03758), without DropBlock. GroupNorm stands where those have batch norm,
see `classic.networks.images`; a batch norm whose statistics are frozen, as pretrained weights bring it, is a factor and
a summand per channel, and is computed as that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from classic.functional.base import Described
from classic.networks.images import PixelRows, conv_params, norm_params, normalized, prefixed, standardized
from classic.networks.text import unit
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params

#: Mean and deviation of the colours of ImageNet, from 0 to 1: what pretrained weights are used to.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EPS = 1e-5
_STAGES = 4
_CONVERTED = (
    'from torchvision: safetensors.torch.save_file(torchvision.models.resnet18(weights="DEFAULT").state_dict(), FILE)'
)


@dataclass(frozen=True)
class ResNet12(Described):
    """x: (n, channels, size, size) pixels -> (n, widths[-1]): the last map averaged, of length 1.

    Args:
        widths: channels of the four blocks, each of three convolutions and a pooling.
        size: height and width that images are resized to; at least 16.
        channels: 1 for grey, 3 for colours.
    """

    widths: tuple[int, ...] = (64, 160, 320, 640)
    size: int = 84
    channels: int = 3
    name = "resnet12"
    modality = "image"
    vectorizes = True
    lr = 1e-3

    def __post_init__(self) -> None:
        _require_size(self.name, self.size, 2 ** len(self.widths))

    @property
    def features(self) -> int:
        """Columns of the result."""
        return self.widths[-1]

    def inputs(self) -> PixelRows:
        """Pixels."""
        return PixelRows(self.size, self.channels)

    def init(self, generator: torch.Generator) -> Params:
        """`<block>.conv<1|2|3>.weight`, `<block>.norm<1|2|3>.*`, `<block>.short.weight` and `<block>.norm.*`."""
        params: Params = {}
        for block, (inputs, outputs) in enumerate(zip((self.channels, *self.widths), self.widths, strict=False)):
            for at in (1, 2, 3):
                convolution = conv_params(inputs if at == 1 else outputs, outputs, 3, generator)
                params |= prefixed(f"{block}.conv{at}", convolution)
                params |= prefixed(f"{block}.norm{at}", norm_params(outputs))
            params |= prefixed(f"{block}.short", conv_params(inputs, outputs, 1, generator))
            params |= prefixed(f"{block}.norm", norm_params(outputs))
        return params

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, channels, size, size) -> (n, features)."""
        from torch.nn.functional import conv2d, leaky_relu, max_pool2d

        maps = standardized(x, params["0.conv1.weight"])
        for block in range(len(self.widths)):

            def norm(name: str, values: Tensor, block: int = block) -> Tensor:
                return normalized(values, params[f"{block}.{name}.weight"], params[f"{block}.{name}.bias"])

            short = norm("norm", conv2d(maps, params[f"{block}.short.weight"]))
            for at in (1, 2, 3):
                maps = norm(f"norm{at}", conv2d(maps, params[f"{block}.conv{at}.weight"], padding=1))
                maps = leaky_relu(maps + short if at == 3 else maps, 0.1)
            maps = max_pool2d(maps, 2)
        return unit(maps.mean(dim=(-2, -1)))


@dataclass(frozen=True)
class ResNet18(Described):
    """x: (n, channels, size, size) pixels -> (n, 8 * width): the last map averaged, of length 1.

    Args:
        width: channels of the first stage; every further one has twice as many.
        size: height and width that images are resized to; at least 32.
        channels: 1 for grey, 3 for colours.
        weights: .safetensors file of pretrained weights under torchvision's names; its statistics stay as they are.
    """

    width: int = 64
    size: int = 84
    channels: int = 3
    weights: str | None = None
    name = "resnet18"
    modality = "image"
    vectorizes = True

    def __post_init__(self) -> None:
        _require_size(self.name, self.size, 32)

    @property
    def lr(self) -> float:
        """Outer step size that suits it."""
        return 1e-3 if self.weights is None else 1e-4

    @property
    def features(self) -> int:
        """Columns of the result."""
        return self.width * 2 ** (_STAGES - 1)

    def inputs(self) -> PixelRows:
        """Pixels."""
        return PixelRows(self.size, self.channels)

    def init(self, generator: torch.Generator) -> Params:
        """Parameters under torchvision's names: `conv1.weight`, `bn1.weight`, `layer1.0.conv1.weight`, ..."""
        return _fresh(self._shapes(), generator) if self.weights is None else _pretrained(self.weights, self._shapes())

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, channels, size, size) -> (n, features)."""
        from torch.nn.functional import conv2d, max_pool2d, relu

        maps = self._norm(params, "bn1", conv2d(self._shown(x, params), params["conv1.weight"], stride=2, padding=3))
        maps = max_pool2d(relu(maps), 3, 2, 1)
        for name, stride in _blocks():
            short = maps
            if f"{name}.downsample.0.weight" in params:
                short = conv2d(maps, params[f"{name}.downsample.0.weight"], stride=stride)
                short = self._norm(params, f"{name}.downsample.1", short)
            maps = conv2d(maps, params[f"{name}.conv1.weight"], stride=stride, padding=1)
            maps = relu(self._norm(params, f"{name}.bn1", maps))
            maps = self._norm(params, f"{name}.bn2", conv2d(maps, params[f"{name}.conv2.weight"], padding=1))
            maps = relu(maps + short)
        return unit(maps.mean(dim=(-2, -1)))

    def _shown(self, x: Tensor, params: Params) -> Tensor:
        """Pixels as the weights are used to them."""
        like = params["conv1.weight"]
        if self.weights is None:
            return standardized(x, like)
        mean, std = (like.new_tensor(values)[: self.channels, None, None] for values in (_MEAN, _STD))
        return (x.to(like.dtype) / 255 - mean) / std

    def _norm(self, params: Params, name: str, maps: Tensor) -> Tensor:
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        if self.weights is None:
            return normalized(maps, weight, bias)
        return maps * weight[:, None, None] + bias[:, None, None]

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight of a convolution, and of the weight of every norm."""
        shapes: dict[str, tuple[int, ...]] = {"conv1": (self.width, self.channels, 7, 7), "bn1": (self.width,)}
        inputs = self.width
        for name, stride in _blocks():
            outputs = inputs * stride
            shapes |= {f"{name}.conv1": (outputs, inputs, 3, 3), f"{name}.bn1": (outputs,)}
            shapes |= {f"{name}.conv2": (outputs, outputs, 3, 3), f"{name}.bn2": (outputs,)}
            if stride > 1:
                shapes |= {f"{name}.downsample.0": (outputs, inputs, 1, 1), f"{name}.downsample.1": (outputs,)}
            inputs = outputs
        return shapes


def _blocks() -> Iterator[tuple[str, int]]:
    """Name and stride of the eight blocks. Where the stride is 2, there are twice as many channels after it."""
    for stage in range(1, _STAGES + 1):
        yield f"layer{stage}.0", 1 if stage == 1 else 2
        yield f"layer{stage}.1", 1


def _fresh(shapes: dict[str, tuple[int, ...]], generator: torch.Generator) -> Params:
    params: Params = {}
    for name, shape in shapes.items():
        drawn = norm_params(*shape) if len(shape) == 1 else conv_params(shape[1], shape[0], shape[2], generator)
        params |= prefixed(name, drawn)
    return params


def _pretrained(path: str, shapes: dict[str, tuple[int, ...]]) -> Params:
    """Weights of a file, each norm as a factor and a summand.

    Raises:
        UsageError: no such file, or one of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if Path(path).suffix != ".safetensors":
        raise UsageError(f"weights {path}: a .safetensors file is expected; {_CONVERTED}")
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"weights {path}: cannot be read: {error}; {_CONVERTED}") from error
    params: Params = {}
    for name, shape in shapes.items():
        held = ("weight", "bias", "running_mean", "running_var") if len(shape) == 1 else ("weight",)
        keys = [f"{name}.{key}" for key in held]
        if wrong := [key for key in keys if key not in found or tuple(found[key].shape) != shape]:
            raise UsageError(f"weights {path}: {wrong[0]} of shape {shape} is not in it; {_CONVERTED}")
        weight, *statistics = (found[key].float() for key in keys)
        if statistics:
            bias, mean, variance = statistics
            weight = weight / (variance + _EPS).sqrt()
            params[f"{name}.bias"] = bias - mean * weight
        params[f"{name}.weight"] = weight
    return params


def _require_size(name: str, size: int, least: int) -> None:
    if size < least:
        raise UsageError(f"{name} halves its maps to the end: size {size} is too small; use {least} or more")
