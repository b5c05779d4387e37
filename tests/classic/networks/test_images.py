"""The networks that read images: shapes, seeds, one image at a time, second derivatives, executors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classic.algorithms.maml import MAML
from classic.algorithms.protonet import ProtoNet
from classic.functional.base import TensorTask
from classic.functional.executors import build_executor
from classic.networks.conv4 import Conv4
from classic.networks.head import Headed
from classic.networks.images import PixelRows, standardized
from classic.networks.resnet import ResNet12, ResNet18
from fewshot.core.errors import UsageError
from fewshot.core.images import as_image
from tests.evals.images.pictures import picture

NETWORKS: dict[str, Any] = {
    "conv4": Conv4(filters=4, size=16),
    "conv4 with strides": Conv4(filters=4, size=12, pooling="stride"),
    "conv4 of colours": Conv4(filters=8, size=16, channels=3),
    "conv4 of any length": Conv4(filters=4, size=16, unit=False),
    "resnet12": ResNet12(widths=(4, 6, 8), size=16),
    "resnet18": ResNet18(width=2, size=32, channels=1),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Any:
    return NETWORKS[request.param]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(network: Any, count: int = 6) -> torch.Tensor:
    return network.inputs().rows([as_image(picture(at % 3, at)) for at in range(count)])


def parameters(network: Any) -> dict[str, torch.Tensor]:
    return {name: value.double() for name, value in network.init(generator()).items()}


def batch(network: Any, n: int = 2) -> TensorTask:
    """Tasks of three classes, one image shown and one asked of each."""
    x = rows(network, 6 * n).unflatten(0, (n, 2, 3))
    y = torch.arange(3).expand(n, -1)
    ones = torch.ones(n, 3, dtype=torch.float64)
    return TensorTask(x[:, 0], y, ones, x[:, 1], y, ones, ones)


def test_gives_features_of_its_width_and_never_nan(network: Any) -> None:
    blank = network.inputs().rows([network.inputs().blank])
    vectors = network.apply(parameters(network), torch.cat([rows(network), blank]))
    assert vectors.shape == (7, network.features)
    assert vectors.isfinite().all()
    assert not getattr(network, "unit", True) or vectors[:-1].norm(dim=1).tolist() == pytest.approx([1.0] * 6)


def test_parameters_depend_on_the_generator_alone(network: Any) -> None:
    one, same, other = network.init(generator()), network.init(generator()), network.init(generator(1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_an_image_has_the_features_that_it_has_alone(network: Any) -> None:
    params, x = parameters(network), rows(network)
    alone = torch.cat([network.apply(params, x[at : at + 1]) for at in range(len(x))])
    torch.testing.assert_close(network.apply(params, x), alone)


def test_light_and_contrast_of_an_image_do_not_matter() -> None:
    x = rows(NETWORKS["conv4"]).double()
    torch.testing.assert_close(standardized(40 + 0.3 * x, x), standardized(x, x), rtol=1e-4, atol=1e-4)
    assert standardized(torch.full((1, 1, 4, 4), 7.0), x).abs().max() == 0


@pytest.mark.parametrize("second_order", [False, True], ids=["first order", "second order"])
def test_mapped_over_tasks_it_gives_what_a_loop_gives(network: Any, second_order: bool) -> None:
    algorithm = MAML(Headed(network), inner_lr=0.3, inner_steps=2, first_order=not second_order)
    params, tasks = parameters(algorithm), batch(network)
    loop, mapped = (
        build_executor(name, None, print).meta_gradient(algorithm, params, tasks) for name in ("loop", "vmap")
    )
    for name in params:
        torch.testing.assert_close(mapped[0][name], loop[0][name], msg=lambda text, name=name: f"{name}: {text}")


def test_second_derivatives_are_those_of_finite_differences() -> None:
    network = Conv4(filters=2, size=16)
    algorithm = MAML(Headed(network, "shared"), inner_lr=0.5, inner_steps=2)
    params, tasks = parameters(algorithm), batch(network, 1)
    executor = build_executor("loop", None, print)
    gradient, _ = executor.meta_gradient(algorithm, params, tasks)
    for name in ("body.0.conv.weight", "body.2.norm.weight", "body.3.conv.weight"):
        at, step = tuple(0 for _ in params[name].shape), 1e-6
        losses = []
        for sign in (1, -1):
            moved = {key: value.clone() for key, value in params.items()}
            moved[name][at] += sign * step
            losses.append(executor.meta_gradient(algorithm, moved, tasks)[1]["loss"].item())
        assert gradient[name][at].item() == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-4, abs=1e-8)


def test_it_learns_to_tell_pictures_apart() -> None:
    network = Conv4(filters=8, size=16)
    algorithm, executor = ProtoNet(network, distance="cosine"), build_executor("vmap", None, print)
    params, tasks = parameters(algorithm), batch(network)
    before = executor.meta_gradient(algorithm, params, tasks)[1]["loss"].mean()
    for _ in range(5):
        gradient, _metrics = executor.meta_gradient(algorithm, params, tasks)
        params = {name: value - 0.05 * gradient[name] for name, value in params.items()}
    assert executor.meta_gradient(algorithm, params, tasks)[1]["loss"].mean() < 0.8 * before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"pooling": "mean"}, "neither max nor stride"),
        ({"size": 8}, "use 16 or more"),
        ({"channels": 2}, "1 or 3 channels"),
    ],
)
def test_what_it_cannot_be_is_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Conv4(**arguments).inputs()


@pytest.mark.parametrize("network", [ResNet12, ResNet18])
def test_images_too_small_for_the_poolings_are_refused(network: Any) -> None:
    with pytest.raises(UsageError, match="is too small; use"):
        network(size=15)


def test_a_text_is_no_row() -> None:
    with pytest.raises(UsageError, match="is a text"):
        PixelRows(16, 1).rows(["my card is lost"])


def test_rows_are_bytes() -> None:
    found = PixelRows(12, 1).rows([as_image(picture(1))])
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found[0, 0].numpy(), picture(1))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A ResNet-18 of transformers with statistics, and its weights under torchvision's names."""
    from safetensors.torch import save_file
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[2, 2, 2, 2], layer_type="basic", num_channels=3
    )
    model = ResNetModel(config).eval()
    for name, value in model.named_buffers():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=generator(len(name)))
    found = {}
    for name, value in model.state_dict().items():
        found[_torchvision_name(name)] = value.clone()
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file({name: value for name, value in found.items() if "num_batches" not in name}, path)
    return path, model


def _torchvision_name(name: str) -> str:
    for old, new in (("convolution", "conv"), ("normalization", "bn")):
        name = name.replace(f"embedder.embedder.{old}", f"{new}1")
        for at in (0, 1):
            name = name.replace(f".layer.{at}.{old}", f".{new}{at + 1}")
    name = name.replace(".shortcut.convolution", ".downsample.0").replace(".shortcut.normalization", ".downsample.1")
    return re.sub(r"encoder\.stages\.(\d)\.layers\.", lambda found: f"layer{int(found[1]) + 1}.", name)


def test_pretrained_weights_give_what_their_own_network_gives(published: tuple[Path, Any]) -> None:
    path, model = published
    network = ResNet18(width=8, size=32, weights=str(path))
    x = network.inputs().rows([as_image(picture(at)) for at in range(3)])
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        theirs = model((x / 255 - mean) / std).pooler_output.flatten(1)
        ours = network.apply(network.init(generator()), x)
    torch.testing.assert_close(ours, torch.nn.functional.normalize(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: "model.pth", r"a \.safetensors file is expected; from torchvision"),
        (lambda path: "none.safetensors", "cannot be read"),
        (lambda path: str(path), r"conv1\.weight of shape \(16, 3, 7, 7\) is not in it"),
    ],
    ids=["a pickle", "not there", "of another width"],
)
def test_weights_that_do_not_fit_are_told(make: Any, told: str, published: tuple[Path, Any]) -> None:
    with pytest.raises(UsageError, match=told):
        ResNet18(width=16, size=32, weights=make(published[0])).init(generator())
