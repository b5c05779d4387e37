"""Image deformation meta-networks: the fusion by hand, masks, executors, and a toy that needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from classic.algorithms.idmn import IDMN
from classic.algorithms.protonet import ProtoNet
from classic.functional.base import Described, TensorTask
from classic.functional.executors import build_executor
from classic.learners.meta import MetaLearner
from classic.networks.conv4 import Conv4
from evals.learner import for_task
from evals.types import TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError

DOUBLE = torch.float64


@dataclass(frozen=True)
class Flat(Described):
    """The pixels themselves."""

    features: int = 16

    def init(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {}

    def apply(self, params: Any, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(start_dim=-3).to(DOUBLE)


def parameters(algorithm: Any) -> dict[str, torch.Tensor]:
    drawn = algorithm.init(torch.Generator().manual_seed(0))
    return {name: value.to(DOUBLE) for name, value in drawn.items()}


def tasks(n: int = 2, way: int = 3, shot: int = 1, query: int = 2, size: int = 16) -> TensorTask:
    """Tasks of noisy images of a bright square per class, at a place of its own."""
    random = torch.Generator().manual_seed(0)

    def draw(per_class: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = 40 * torch.rand(n, way * per_class, 1, size, size, generator=random, dtype=DOUBLE)
        y = torch.arange(way).repeat(per_class)
        for row, number in enumerate(y.tolist()):
            x[:, row, :, size // 4 * number : size // 4 * (number + 1), : size // 4] += 200
        return x, y.expand(n, -1), torch.ones(n, way * per_class, dtype=DOUBLE)

    return TensorTask(*draw(shot), *draw(query), torch.ones(n, way, dtype=DOUBLE))


def first(batch: TensorTask) -> TensorTask:
    return TensorTask(*(field[0] for field in batch))


def two(x: torch.Tensor) -> TensorTask:
    """A task of two images, one of each class."""
    y, ones = torch.tensor([0, 1]), torch.ones(2, dtype=DOUBLE)
    return TensorTask(x.to(DOUBLE), y, ones, x.to(DOUBLE), y, ones, ones)


def test_a_deformed_image_is_probe_and_gallery_patch_by_patch() -> None:
    """One patch and two images of 1 x 1: w = sigmoid(u . [probe, gallery] + b), by hand."""
    algorithm = IDMN(Flat(1), deformed=1, patches=1)
    params = {
        "meta.deform.weight": torch.tensor([[0.5, -0.25]], dtype=DOUBLE),
        "meta.deform.bias": torch.ones(1, dtype=DOUBLE),
    }
    task = two(torch.tensor([2.0, 6.0])[:, None, None, None])
    weights = torch.tensor([0.5 * 2 - 0.25 * 6 + 1, 0.5 * 6 - 0.25 * 2 + 1]).sigmoid().tolist()
    made = [weights[0] * 2 + (1 - weights[0]) * 6, weights[1] * 6 + (1 - weights[1]) * 2]
    means = algorithm.adapt(params, task).means[:, 0].tolist()
    assert means == pytest.approx([(2 + made[0]) / 2, (6 + made[1]) / 2], rel=1e-6)


def test_each_patch_has_its_own_weight() -> None:
    """Weights of 1 and 0 cut the image in two: what comes of it is half probe, half gallery."""
    algorithm = IDMN(Flat(16), deformed=1, patches=2)
    bias = torch.tensor([50.0, -50.0, 50.0, -50.0], dtype=DOUBLE)
    params = {"meta.deform.weight": torch.zeros(4, 32, dtype=DOUBLE), "meta.deform.bias": bias}
    images = torch.tensor([1.0, 3.0])[:, None, None, None].expand(2, 1, 4, 4)
    means = algorithm.adapt(params, two(images)).means
    expected = torch.tensor([[1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 2.0, 2.0]])
    torch.testing.assert_close(means.unflatten(1, (4, 4)), expected[:, None].expand(2, 4, 4).to(DOUBLE))


def test_the_gallery_is_of_other_classes_and_the_nearest() -> None:
    algorithm, task = IDMN(Flat(16), deformed=2), first(tasks(1, way=3, shot=2, size=4))
    embedded = task.support_x.flatten(1)
    gallery, exists = algorithm._gallery(embedded, task)
    assert exists.all()
    for row, positions in enumerate(gallery.tolist()):
        similar = torch.nn.functional.cosine_similarity(embedded[row], embedded)
        similar[task.support_y == task.support_y[row]] = -2
        assert positions == similar.topk(2).indices.tolist()


@pytest.fixture(params=["flat", "conv4"])
def algorithm(request: pytest.FixtureRequest) -> IDMN:
    network: Any = Flat(256) if request.param == "flat" else Conv4(filters=4, size=16)
    return IDMN(network, deformed=2, learn_temperature=True, distance="cosine")


def test_mapped_over_tasks_it_gives_what_a_loop_gives(algorithm: IDMN) -> None:
    params, batch = parameters(algorithm), tasks()
    loop, mapped = (
        build_executor(name, None, print).meta_gradient(algorithm, params, batch) for name in ("loop", "vmap")
    )
    for name in params:
        torch.testing.assert_close(mapped[0][name], loop[0][name])


@pytest.mark.parametrize("classes", [0, 2])
def test_rows_and_classes_that_do_not_exist_do_not_count(algorithm: IDMN, classes: int) -> None:
    params, task = parameters(algorithm), first(tasks())

    def more(values: torch.Tensor, count: int, fill: float) -> torch.Tensor:
        return torch.cat([values, values.new_full((count, *values.shape[1:]), fill)])

    padded = TensorTask(
        more(task.support_x, 3, 99.0),
        more(task.support_y, 3, 1),
        more(task.support_mask, 3, 0),
        task.query_x,
        task.query_y,
        task.query_mask,
        more(task.class_mask, classes, 0),
    )
    alone, among = (algorithm.logits(algorithm.adapt(params, each), each.query_x) for each in (task, padded))
    torch.testing.assert_close(among[:, :3], alone)


def test_a_single_class_is_left_as_it_is() -> None:
    batch = first(tasks(1, way=1, shot=2))
    one, plain = IDMN(Flat(256)), ProtoNet(Flat(256))
    params = parameters(one)
    torch.testing.assert_close(one.adapt(params, batch).means, plain.adapt(params, batch).means)


def test_it_learns_how_to_deform_end_to_end() -> None:
    """With pixels for an embedding there is nothing to learn but the weights of the patches and the temperature."""
    algorithm, batch = IDMN(Flat(256), deformed=2, distance="cosine", learn_temperature=True), tasks(4)
    executor, params = build_executor("vmap", None, print), parameters(algorithm)
    start = executor.meta_gradient(algorithm, params, batch)[1]["loss"].mean()
    before = params["meta.deform.bias"]
    for _ in range(20):
        gradient, _ = executor.meta_gradient(algorithm, params, batch)
        params = {name: value - 0.5 * gradient[name] for name, value in params.items()}
    assert executor.meta_gradient(algorithm, params, batch)[1]["loss"].mean() < 0.8 * start
    assert (params["meta.deform.bias"] - before).abs().max() > 1e-4


@pytest.mark.parametrize("arguments", [{"deformed": 0}, {"patches": 0}])
def test_no_deformation_at_all_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be 1 or more"):
        IDMN(Flat(), **arguments)


def test_vectors_and_texts_are_refused() -> None:
    algorithm, task = IDMN(Flat(16)), first(tasks(size=4))
    with pytest.raises(UsageError, match="idmn fuses pixels"):
        algorithm.adapt(parameters(algorithm), task._replace(support_x=task.support_x.flatten(1)))
    learner = LEARNERS.build("idmn")
    assert isinstance(learner, MetaLearner)
    with pytest.raises(UsageError, match="idmn reads images"):
        for_task(learner, TaskInfo("toy", "en", "classification"))
