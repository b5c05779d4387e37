"""Episodes over tensors: what they hold, that they can be repeated, and what cannot be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from classic import MAML, MLP, Headed, ProtoNet, Sinusoids
from classic.functional.executors import build_executor
from classic.training.options import TrainingOptions
from classic.training.tensors import TensorEpisodes, evaluate
from classic.training.trainer import Trainer
from evals.learner import Context
from fewshot.core.errors import FewshotError, UsageError


def clouds(classes: int = 8, rows: int = 12, spread: float = 0.3) -> dict[str, torch.Tensor]:
    """Rows of 4 numbers around a centre per class, of which the first two tell it and the others are loud."""
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, 4, generator=random) * torch.tensor([1.0, 1.0, 0.0, 0.0])
    noise = torch.randn(classes, rows, 4, generator=random) * torch.tensor([spread, spread, 3.0, 3.0])
    return {f"c{at}": centres[at] + noise[at] for at in range(classes)}


def test_an_episode_shows_and_asks_other_rows_of_the_same_classes() -> None:
    rows = {name: torch.arange(100 * name, 100 * name + 6).float()[:, None] for name in range(7)}
    batch = TensorEpisodes(rows, way=3, shot=2, query=4).batch(0, 20)
    assert batch.support_x.shape == (20, 6, 1)
    assert batch.query_x.shape == (20, 12, 1)
    for at in range(20):
        shown, asked = batch.support_x[at, :, 0], batch.query_x[at, :, 0]
        assert len({*shown.tolist(), *asked.tolist()}) == 18
        for number in range(3):
            of_class = torch.cat([shown[batch.support_y[at] == number], asked[batch.query_y[at] == number]])
            assert len(set((of_class // 100).tolist())) == 1
    assert len({tuple(each) for each in (batch.support_x[..., 0] // 100).tolist()}) > 10


def test_an_episode_depends_on_its_number_and_the_seed_alone() -> None:
    episodes = TensorEpisodes(clouds(), 3, query=5)
    together, alone = episodes.batch(0, 9), TensorEpisodes(clouds(), 3, query=5).batch(7, 8)
    assert torch.equal(together.query_x[7], alone.query_x[0])
    assert not torch.equal(together.query_x[6], alone.query_x[0])
    assert not torch.equal(TensorEpisodes(clouds(), 3, query=5, seed=1).batch(7, 8).query_x, alone.query_x)


@pytest.mark.parametrize("array", [np.asarray, torch.as_tensor], ids=["arrays", "tensors"])
def test_rows_with_labels_are_the_same_as_classes(array: Any) -> None:
    rows = clouds(5)
    x, y = torch.cat(list(rows.values())), [name for name, held in rows.items() for _ in held]
    shuffled = torch.randperm(len(x), generator=torch.Generator().manual_seed(1)).sort(stable=True).values
    one = TensorEpisodes.of(array(x[shuffled]), y, way=2, query=5).batch(0, 3)
    assert torch.equal(one.support_x, TensorEpisodes(rows, way=2, query=5).batch(0, 3).support_x)


BAD: dict[str, tuple[dict[Any, Any], dict[str, int], str]] = {
    "a class with one row": (clouds() | {"single": torch.zeros(1, 4)}, {}, "'single' has 1 rows"),
    "too few for the queries": (clouds(), {"query": 12}, "'c0' has 12 rows"),
    "too few classes": (clouds(4), {}, "5 classes per episode cannot be drawn from 4"),
    "no class": ({}, {}, "cannot be drawn from 0"),
    "rows of another length": (clouds() | {"other": torch.zeros(20, 5)}, {}, r"class 'other' \(5,\)"),
    "rows of another type": (clouds() | {"other": torch.zeros(20, 4, dtype=torch.int64)}, {}, "torch.int64"),
    "NaN": (clouds() | {"c1": torch.full((20, 4), torch.nan)}, {}, "'c1' has values that are not finite"),
    "infinity": (clouds() | {"c1": torch.full((20, 4), -torch.inf)}, {}, "'c1' has values that are not finite"),
    "no shot": (clouds(), {"shot": 0}, "shot 0 is too small"),
}


@pytest.mark.parametrize(("rows", "shape", "told"), BAD.values(), ids=BAD)
def test_what_cannot_be_drawn_is_told_before_anything_is(
    rows: dict[Any, Any], shape: dict[str, int], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        TensorEpisodes(rows, **{"query": 5, **shape})


def test_labels_and_rows_must_be_as_many() -> None:
    with pytest.raises(UsageError, match="a label per row"):
        TensorEpisodes.of(np.zeros((4, 2)), [0, 1, 1])


def test_the_trainer_learns_from_them_and_the_interval_shows_it() -> None:
    algorithm = ProtoNet(MLP(4, (8,)))
    train, test = (TensorEpisodes(clouds(), 4, 1, 5, seed) for seed in (0, 1))
    options = TrainingOptions(steps=40, meta_batch=8, lr=0.03, eval_every=40, n_valid=20, patience=None)
    executor = build_executor("vmap", None, print)
    trained = Trainer(algorithm, executor, options, Context(device="cpu")).fit(train, test)
    untrained = algorithm.init(torch.Generator().manual_seed(0))
    before, after = (evaluate(algorithm, params, test, 60, executor) for params in (untrained, trained.params))
    assert after.low > before.high
    assert (after.n, after.method) == (60, "t")


def test_a_regression_has_an_interval_of_its_loss() -> None:
    algorithm = MAML(Headed(MLP(1, (8,), True), "learned", 1), inner_lr=0.01, inner_steps=1, loss="mse")
    params = algorithm.init(torch.Generator().manual_seed(0))
    found = evaluate(algorithm, params, Sinusoids(shot=5), 20)
    assert found.low < found.mean < found.high
    with pytest.raises(FewshotError, match="of 4 tasks diverged"):
        evaluate(algorithm, {name: value * torch.nan for name, value in params.items()}, Sinusoids(), 4)
