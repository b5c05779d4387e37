"""Metric learners and closed-form heads against hand-computed cases."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from classic.algorithms.matching import Matching
from classic.algorithms.metabaseline import MetaBaseline
from classic.algorithms.metaoptnet import MetaOptNet
from classic.algorithms.protonet import ProtoNet
from classic.algorithms.r2d2 import R2D2, ridge_regression
from classic.algorithms.relation import Relation
from classic.algorithms.siamese import Siamese
from classic.functional.base import TensorTask
from classic.functional.distances import confidence_ceiling
from classic.networks import MLP, Identity, Residual
from fewshot.core.errors import UsageError
from tests.classic.functional.toy import INPUTS, generator, parameters, task


def plane(support: list[list[float]], y: list[int], query: list[list[float]], query_y: list[int]) -> TensorTask:
    """A task of two classes in the plane."""
    support_x, query_x = (torch.tensor(rows, dtype=torch.float64) for rows in (support, query))
    ones = torch.ones(8, dtype=torch.float64)
    return TensorTask(
        support_x, torch.tensor(y), ones[: len(y)], query_x, torch.tensor(query_y), ones[: len(query)], ones[:2]
    )


CORNERS = plane([[0, 0], [2, 0], [0, 4], [2, 4]], [0, 0, 1, 1], [[1, 1], [1, 4]], [0, 1])


def _logits(algorithm: ProtoNet | Matching | Relation | Siamese, one: TensorTask = CORNERS) -> list[list[float]]:
    return algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x).tolist()


def test_protonet_by_hand() -> None:
    """Bug B4: the distance is squared. Prototypes are (1, 0) and (1, 4); the root would give -1 and -3."""
    assert _logits(ProtoNet(Identity(2))) == [[-1, -9], [-16, 0]]


def test_protonet_divides_by_the_temperature() -> None:
    """Bug B4: a higher temperature is softer; multiplying by it would sharpen."""
    assert _logits(ProtoNet(Identity(2), temperature=4.0)) == [[-0.25, -2.25], [-4, 0]]


def test_protonet_cosine_by_hand() -> None:
    one = plane([[1, 0], [0, 3]], [0, 1], [[2, 0], [1, 1]], [0, 1])
    found = torch.tensor(_logits(ProtoNet(Identity(2), "cosine", temperature=0.5), one))
    assert_close(found, torch.tensor([[2.0, 0.0], [2**0.5, 2**0.5]]))


def test_the_gradient_at_distance_zero_is_finite() -> None:
    """The root of a distance of 0 has no derivative; the squared distance has."""
    one = plane([[0, 0], [1, 1]], [0, 1], [[0, 0], [1, 1]], [0, 1])
    algorithm = ProtoNet(MLP(2, (2,)))
    gradient, metrics = algorithm.meta_gradient(parameters(algorithm), one)
    assert metrics["diverged"] == 0
    assert all(value.isfinite().all() for value in gradient.values())


def test_an_untrained_residual_network_is_the_frozen_encoder() -> None:
    algorithm, frozen = ProtoNet(Residual(INPUTS, 8)), ProtoNet(Identity(INPUTS))
    one = task()
    assert_close(
        algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x),
        frozen.logits(frozen.adapt({}, one), one.query_x),
    )


def test_matching_by_hand() -> None:
    """Each class has one cosine of 1 and one of 0."""
    one = plane([[1, 0], [0, 1]], [0, 1], [[5, 0]], [0])
    weight = exp(1 / 0.5)
    expected = [[log(weight / (weight + 1)), log(1 / (weight + 1))]]
    assert_close(torch.tensor(_logits(Matching(Identity(2), temperature=0.5), one)), torch.tensor(expected))


def test_matching_gives_log_probabilities() -> None:
    """Cross-entropy on them is their negative log-likelihood: a second softmax would change nothing."""
    logits = torch.tensor(_logits(Matching(Identity(2)), CORNERS))
    assert_close(logits.exp().sum(-1), torch.ones(2))
    assert_close(logits.log_softmax(-1), logits)


def test_matching_attends_to_the_mean_of_a_class_as_to_all_its_texts() -> None:
    """Texts at 0, 90 and, of the other class, 180 degrees; a query at 45 degrees lies on the mean of its class."""
    one = plane([[1, 0], [0, 1], [-1, 0]], [0, 0, 1], [[1, 1]], [0])
    near, far = exp(2**-0.5), exp(-(2**-0.5))
    first, second = 2 * near + 2 * exp(1), far + far
    found = _logits(Matching(Identity(2), temperature=1.0, centres=True), one)
    assert_close(torch.tensor(found), torch.tensor([[log(first / (first + second)), log(second / (first + second))]]))


def test_matching_without_a_temperature_cannot_be_confident() -> None:
    """The best embeddings there are, opposite directions, reach 0.65 over five classes; so its training stalls."""
    directions = torch.full((5, 1), -1.0, dtype=torch.float64)
    directions[0] = 1.0
    ones, y = torch.ones(5, dtype=torch.float64), torch.arange(5)
    one = TensorTask(directions, y, ones, directions[:1], y[:1], ones[:1], ones)
    for temperature, ceiling in ((1.0, 0.649), (0.1, 1.0)):
        algorithm = Matching(Identity(1), temperature)
        best = algorithm.logits(algorithm.adapt({}, one), one.query_x).exp().max().item()
        assert best == pytest.approx(ceiling, abs=1e-3)
        assert best == pytest.approx(confidence_ceiling(temperature, 5))
        assert algorithm.describe()["confidence_ceiling"] == pytest.approx(ceiling, abs=1e-3)
    assert Matching(Identity(1)).temperature == 0.1
    assert ProtoNet(Identity(1), "cosine").describe()["temperature"] == 0.1


@pytest.mark.parametrize(
    ("aggregate", "difference", "logits"),
    [
        ("mean", "absolute", [-(2**-0.5), -(2**0.5)]),
        ("max", "absolute", [0.0, -(2**0.5)]),
        ("mean", "squared", [5 - 5 * (4 + 0) / 2, 5 - 5 * 4]),
        ("max", "squared", [5.0, 5 - 5 * 4]),
        ("centre", "squared", [5 - 5.0 * 1, 5 - 5.0 * 4]),
    ],
)
def test_siamese_takes_the_mean_or_the_greatest_resemblance(aggregate: Any, difference: Any, logits: Any) -> None:
    one = plane([[0, 0], [2, 0], [4, 0]], [0, 0, 1], [[2, 0]], [0])
    assert_close(torch.tensor(_logits(Siamese(Identity(2), aggregate, difference), one)), torch.tensor([logits]))


def test_siamese_pairs_have_labels_of_both_kinds_and_no_text_with_itself() -> None:
    """Bug B7: every pair was labelled as similar, and texts were paired with themselves."""
    algorithm = Siamese(Identity(2))
    params = parameters(algorithm)
    params["meta.pair_bias"] += 1000  # every pair is called similar
    assert algorithm.meta_gradient(params, CORNERS)[1]["loss"] > 20
    params["meta.pair_bias"] -= 2000  # no pair is
    assert algorithm.meta_gradient(params, CORNERS)[1]["loss"] > 20


def test_relation_begins_at_the_cosine_and_its_error_by_hand() -> None:
    """A query that looks like its class and is at right angles to the other: scores (1 - t) / T and -t / T."""
    algorithm = Relation(Identity(2), temperature=0.25)
    one = plane([[1, 0], [0, 1]], [0, 1], [[3, 0]], [0])
    assert_close(torch.tensor(_logits(algorithm, one)), torch.tensor([[2.0, -2.0]]))
    right, wrong = (1 / (1 + exp(-score)) for score in (2, -2))
    loss = algorithm.meta_gradient(parameters(algorithm), one)[1]["loss"].item()
    assert loss == pytest.approx(((right - 1) ** 2 + wrong**2) / 2)


@pytest.mark.parametrize(("n", "d"), [(4, 9), (9, 4), (5, 5)], ids=["fewer rows", "more rows", "square"])
def test_ridge_regression_solves_its_normal_equations(n: int, d: int) -> None:
    rng = generator()
    x, y = (torch.randn(n, k, generator=rng, dtype=torch.float64) for k in (d, 3))
    solution = ridge_regression(x, y, torch.tensor(0.7))
    direct = torch.linalg.inv(x.T @ x + 0.7 * torch.eye(d)) @ x.T @ y
    assert_close(solution, direct)


def test_r2d2_against_a_direct_solve() -> None:
    algorithm, one = R2D2(Identity(INPUTS), ridge=2.0, scale=3.0), task()
    params = parameters(algorithm)
    indicators = torch.nn.functional.one_hot(one.support_y).double()
    x = one.support_x
    direct = torch.linalg.inv(x.T @ x + 2 * torch.eye(INPUTS)) @ x.T @ indicators
    assert_close(
        algorithm.logits(algorithm.adapt(params, one), one.query_x), 3 * one.query_x @ direct, rtol=1e-6, atol=1e-6
    )


def test_metaoptnet_against_the_papers_dual() -> None:
    """There alpha minimises 1/2 tr(alpha' (K + ridge I) alpha) - 2 tr(alpha' Y), and the output is K_q alpha."""
    algorithm, one = MetaOptNet(Identity(INPUTS), ridge=2.0, scale=3.0), task()
    gram = one.support_x @ one.support_x.T
    alpha = torch.linalg.solve(gram + 2 * torch.eye(len(gram)), 2 * torch.nn.functional.one_hot(one.support_y).double())
    found = algorithm.logits(algorithm.adapt(parameters(algorithm), one), one.query_x)
    assert_close(found, 1.5 * one.query_x @ one.support_x.T @ alpha)


def test_metaoptnet_smooths_over_the_classes_that_exist() -> None:
    algorithm, one = MetaOptNet(MLP(INPUTS, (5,)), smoothing=0.3), task()
    params = parameters(algorithm)
    expected = torch.nn.functional.cross_entropy(
        algorithm.logits(algorithm.adapt(params, one), one.query_x), one.query_y, label_smoothing=0.3
    )
    absent = one._replace(class_mask=torch.cat([one.class_mask, torch.zeros(2)]))
    for each in (one, absent):
        assert_close(algorithm.meta_gradient(params, each)[1]["loss"], expected)


def test_metabaseline_classifies_among_all_base_classes_and_then_among_those_of_the_episode() -> None:
    """The episode's three classes have the numbers 6, 0 and 3 among seven base classes."""
    algorithm = MetaBaseline(MLP(INPUTS, (5,)), base_classes=7, base_scale=10.0, classification=0.4)
    params, one = parameters(algorithm), task()
    base = torch.tensor([6, 0, 3])
    numbered = TensorTask(
        one.support_x, base[one.support_y], one.support_mask, one.query_x, base[one.query_y], one.query_mask,
        torch.ones(7, dtype=torch.float64),
    )  # fmt: skip
    assert [algorithm.at(progress).classifies for progress in (0.0, 0.39, 0.4, 0.9)] == [True, True, False, False]

    _, first = algorithm.at(0.0).meta_gradient(params, numbered)
    embedded = 10 * algorithm.network.apply(params, torch.cat([one.support_x, one.query_x]))
    outputs = embedded @ params["meta.base.weight"].T + params["meta.base.bias"]
    labels = torch.cat([numbered.support_y, numbered.query_y])
    assert_close(first["loss"], torch.nn.functional.cross_entropy(outputs, labels))

    gradient, second = algorithm.at(0.4).meta_gradient(params, numbered)
    protonet = ProtoNet(MLP(INPUTS, (5,)), "cosine", learn_temperature=True)
    own = {name: value for name, value in params.items() if "base" not in name}
    expected, metrics = protonet.meta_gradient(own, one)
    assert_close({name: gradient[name] for name in own}, expected)
    assert_close(second, metrics)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MetaOptNet(Identity(2), ridge=0.0), "ridge 0.0"),
        (lambda: MetaOptNet(Identity(2), smoothing=1.0), "smoothing 1.0"),
        (lambda: MetaBaseline(Identity(2), classification=1.1), "classification 1.1"),
        (lambda: ProtoNet(Identity(2), "euclid"), "Did you mean 'euclidean'"),  # type: ignore[arg-type]
        (lambda: ProtoNet(Identity(2), temperature=0.0), "temperature 0.0"),
        (lambda: Matching(Identity(2), temperature=-1.0), "temperature -1.0"),
        (lambda: R2D2(Identity(2), ridge=0.0), "ridge 0.0"),
    ],
    ids=["metaoptnet", "smoothing", "share", "distance", "zero temperature", "negative temperature", "ridge"],
)
def test_bad_arguments(build: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build()  # type: ignore[operator]
