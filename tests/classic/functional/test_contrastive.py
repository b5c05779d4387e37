"""Contrastive and consistency objectives against hand-computed steps."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from classic.algorithms.contrastnet import ContrastNet
from classic.algorithms.protaugment import ProtAugment
from classic.algorithms.protonet import ProtoNet
from classic.functional.executors import build_executor
from classic.functional.losses import contrastive_loss
from classic.functional.unlabelled import UnlabelledTask
from classic.networks import MLP, Identity
from fewshot.core.errors import UsageError
from tests.classic.functional.test_metric_based import plane
from tests.classic.functional.toy import INPUTS, generator, parameters, tasks

ONE = plane([[1, 0], [0, 1]], [0, 1], [[1, 0], [0, 2]], [0, 1])


def with_unlabelled(share: list[float], seed: int = 9) -> UnlabelledTask:
    """Two tasks with four unlabelled texts and two paraphrases of each."""
    views = torch.randn(2, 4, 3, INPUTS, generator=generator(seed), dtype=torch.float64)
    return UnlabelledTask(*tasks(2), views, torch.tensor(share, dtype=torch.float64))


def test_the_contrastive_loss_by_hand() -> None:
    """Rows 0 and 1 are of one class, row 2 is alone in its class and row 3 does not exist."""
    near = torch.tensor([[9.0, 2, 1, 50], [2, 9, 0, 50], [1, 0, 9, 50], [50, 50, 50, 50]], dtype=torch.float64)
    same = torch.eye(4, dtype=torch.float64)
    same[0, 1] = same[1, 0] = same[2, 3] = same[3, 2] = 1
    exists = torch.tensor([1.0, 1, 1, 0], dtype=torch.float64)
    expected = (log(exp(2) + exp(1)) - 2 + log(exp(2) + exp(0)) - 2) / 2
    assert contrastive_loss(near, same, exists).item() == pytest.approx(expected)
    assert contrastive_loss(near, torch.eye(4, dtype=torch.float64), exists) == 0


def test_contrastnet_by_hand() -> None:
    """Support and queries point along two axes: each row has one other of its class at cosine 1, and two at 0."""
    algorithm = ContrastNet(Identity(2), temperature=0.5)
    _, metrics = algorithm.meta_gradient({}, ONE)
    assert metrics["loss"].item() == pytest.approx(log(exp(2) + 2) - 2)
    assert metrics["accuracy"] == 1


@pytest.mark.parametrize(("aggregate", "expected"), [("max", [[2.0, 0.0]]), ("mean", [[1.0, 0.0]])])
def test_contrastnet_scores_a_class_by_its_nearest_text(aggregate: Any, expected: list[list[float]]) -> None:
    one = plane([[3, 0], [0, 1], [0, 2]], [0, 0, 1], [[5, 0]], [0])
    algorithm = ContrastNet(Identity(2), temperature=0.5, aggregate=aggregate)
    assert_close(algorithm.logits(algorithm.adapt({}, one), one.query_x), torch.tensor(expected, dtype=torch.float64))


#: Two texts along the axes; of the first the paraphrases lie along the axes, of the second on its own.
VIEWS = torch.tensor([[[1.0, 0], [1, 0], [0, 1]], [[0, 1], [0, 1], [0, 1]]], dtype=torch.float64)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_protaugment_by_hand(share: float) -> None:
    """The means of the paraphrases are (1/2, 1/2) and (0, 1): squared distances 1/2 and 2, and 1/2 and 0."""
    task = UnlabelledTask(*ONE, VIEWS, torch.tensor(share, dtype=torch.float64))
    algorithm = ProtAugment(Identity(2))
    unsupervised = (log(exp(-0.5) + exp(-2)) + 0.5 + log(exp(-0.5) + 1)) / 2
    labelled = ProtoNet(Identity(2)).meta_gradient({}, ONE)[1]["loss"].item()
    loss = algorithm.meta_gradient({}, task)[1]["loss"].item()  # type: ignore[arg-type]
    assert loss == pytest.approx(share * labelled + (1 - share) * unsupervised)


def test_contrastnet_pulls_a_text_to_its_paraphrases() -> None:
    """A text and its paraphrases are a class, and the texts are told apart."""
    task = UnlabelledTask(*ONE, VIEWS[:, :2], torch.tensor(0.0, dtype=torch.float64))
    loss = ContrastNet(Identity(2), temperature=0.5).meta_gradient({}, task)[1]["loss"]  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(log(exp(2) + 2) - 2)


UNLABELLED = {
    "contrastnet": ContrastNet(MLP(INPUTS, (8, 5))),
    "contrastnet mean": ContrastNet(MLP(INPUTS, (8, 5)), aggregate="mean"),
    "protaugment": ProtAugment(MLP(INPUTS, (8, 5))),
    "protaugment cosine": ProtAugment(MLP(INPUTS, (8, 5)), distance="cosine", learn_temperature=True),
}


@pytest.mark.parametrize("algorithm", UNLABELLED.values(), ids=UNLABELLED.keys())
def test_unlabelled_texts_are_learned_from_alike_by_every_executor(algorithm: Any) -> None:
    params, batch = parameters(algorithm), with_unlabelled([0.0, 0.5])
    gradient, metrics = build_executor("vmap").meta_gradient(algorithm, params, batch)  # type: ignore[arg-type]
    looped, same = build_executor("loop").meta_gradient(algorithm, params, batch)  # type: ignore[arg-type]
    assert_close(gradient, looped)
    assert_close(metrics, same)
    other, _ = build_executor("vmap").meta_gradient(algorithm, params, with_unlabelled([0.0, 0.5], seed=1))  # type: ignore[arg-type]
    assert any((gradient[name] - other[name]).abs().max() > 1e-6 for name in gradient)


@pytest.mark.parametrize("algorithm", UNLABELLED.values(), ids=UNLABELLED.keys())
def test_unlabelled_texts_without_a_share_change_nothing(algorithm: Any) -> None:
    """Not even if they have no finite loss."""
    params, batch = parameters(algorithm), with_unlabelled([1.0, 1.0])
    gradient, _ = build_executor("vmap").meta_gradient(algorithm, params, batch)  # type: ignore[arg-type]
    plain, _ = build_executor("vmap").meta_gradient(algorithm, params, tasks(2))
    assert_close(gradient, plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unlabelled": 1}, "unlabelled=1: a text is told from others"),
        ({"unlabelled": -2}, "unlabelled=-2"),
        ({"paraphrases": 0}, "paraphrases=0 is too small"),
        ({"rule": "bigramm"}, "Did you mean 'bigram'"),
        ({"anneal": 0.0}, "anneal=0.0 must be above 0"),
        ({"temperature": 0.0}, "temperature 0.0"),
    ],
)
@pytest.mark.parametrize("algorithm", [ContrastNet, ProtAugment])
def test_bad_arguments(algorithm: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        algorithm(Identity(2), **arguments)
