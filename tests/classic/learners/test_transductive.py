"""Learners that read all queries of a problem together: hand-computed steps, brute force, and what they never do."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from classic.learners import alpha_tim, laplacianshot
from classic.learners.alpha_tim import AlphaTIM
from classic.learners.laplacianshot import LaplacianShot, nearest
from classic.learners.soft_kmeans import SoftKMeans
from classic.learners.transport import Transport, transported
from evals.labeller import Labeller
from evals.types import Example, Label, Problem, Query, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import MissingExtra, UsageError
from fewshot.encoders.prototypes import normalized
from tests.classic.toys import ToyEncoder, accuracy, context, sampler

NAMES = ["soft-kmeans", "laplacianshot", "alpha-tim", "transport"]
#: Two classes in the plane, one text each, and four queries of length 1: two near each class.
SUPPORT = np.array([[1.0, 0.0], [0.0, 1.0]])
CLASSES = np.array([0, 1])
QUERIES = np.array([[0.8, 0.6], [0.96, 0.28], [0.352, 0.936], [0.28, 0.96]])


def softmax(rows: np.ndarray) -> np.ndarray:
    return np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def solved(learner: Any, queries: np.ndarray = QUERIES) -> np.ndarray:
    return np.exp(learner._solve(SUPPORT, CLASSES, queries, 2))


def moved(shares: np.ndarray) -> np.ndarray:
    """Class means after the queries were shared out."""
    return np.stack(
        [(SUPPORT[c] + shares[:, c] @ QUERIES) / (1 + shares[:, c].sum()) for c in range(2)],
    )


def test_soft_kmeans_by_hand() -> None:
    first = softmax(QUERIES @ SUPPORT.T / 0.5)
    expected = softmax(QUERIES @ unit(moved(first)).T / 0.5)
    found = solved(SoftKMeans(temperature=0.5, steps=1, centre="none"))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_laplacianshot_by_hand() -> None:
    """Every query has one neighbour: the one beside it on the circle."""
    near = [1, 0, 3, 2]
    nearness = QUERIES @ SUPPORT.T / 0.5
    first = softmax(nearness + 0.7 * softmax(nearness)[near])
    expected = softmax(nearness + 0.7 * first[near])
    learner = LaplacianShot(temperature=0.5, weight=0.7, neighbours=1, rectify=False, steps=2, centre="none")
    np.testing.assert_allclose(solved(learner), expected, atol=1e-6)
    rectified = QUERIES @ unit(moved(softmax(nearness))).T / 0.5
    learner = LaplacianShot(temperature=0.5, weight=0.7, neighbours=1, steps=0, centre="none")
    np.testing.assert_allclose(solved(learner), softmax(rectified), atol=1e-6)


def test_laplacianshot_ends_at_what_it_minimises() -> None:
    """With symmetric neighbours: no assignment of any query on a grid has a lower energy than the one it ends with."""
    near, temperature, weight = [1, 0, 3, 2], 0.5, 0.7
    nearness = QUERIES @ SUPPORT.T / temperature

    def energy(y: np.ndarray) -> float:
        return float((y * (np.log(y) - nearness)).sum() - weight / 2 * (y * y[near]).sum())

    learner = LaplacianShot(
        temperature=temperature, weight=weight, neighbours=1, rectify=False, steps=500, centre="none"
    )
    least = energy(solved(learner))
    grid = np.linspace(0.02, 0.98, 9)
    for chosen in itertools.product(grid, repeat=4):
        shares = np.array(chosen)
        assert energy(np.stack([shares, 1 - shares], axis=1)) >= least - 1e-9


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 7.0])
def test_alpha_tim_goes_down_the_slope_of_its_loss(alpha: float) -> None:
    random = np.random.default_rng(3)
    weights, support, queries = (random.normal(size=(n, 4)) for n in (3, 5, 6))
    classes = np.array([0, 1, 2, 0, 1])
    where = (support, classes, queries, 0.8, alpha)
    found, step = alpha_tim.gradient(weights, *where), 1e-6
    for at in np.ndindex(*weights.shape):
        aside = np.zeros_like(weights)
        aside[at] = step
        slope = (alpha_tim.loss(weights + aside, *where) - alpha_tim.loss(weights - aside, *where)) / (2 * step)
        assert found[at] == pytest.approx(slope, abs=1e-7)


def test_alpha_tim_by_hand() -> None:
    """The first step of Adam is `lr` along the sign of every slope; alpha = 1 is the limit of others."""
    slope = alpha_tim.gradient(SUPPORT, SUPPORT, CLASSES, QUERIES, 0.5, 2.0)
    weights = SUPPORT - 0.1 * np.sign(slope)
    expected = softmax((QUERIES @ weights.T - (weights**2).sum(axis=1) / 2) / 0.5)
    found = solved(AlphaTIM(temperature=0.5, lr=0.1, steps=1, centre="none"))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    one, nearly = (solved(AlphaTIM(alpha=alpha, centre="none")) for alpha in (1, 1 + 1e-6))
    np.testing.assert_allclose(one, nearly, atol=1e-4)


@pytest.mark.parametrize("balance", [0.01, 0.3, 3.0])
def test_transport_is_the_cheapest_plan(balance: float) -> None:
    """Brute force: no other plan with whole rows, on a grid about it, costs less."""
    costs, temperature = 1 - QUERIES[:3] @ SUPPORT.T, 0.3
    found = transported(costs, temperature, balance)[:, 0]

    def cost(first: np.ndarray) -> float:
        plan = np.stack([first, 1 - first], axis=1) / 3
        columns = plan.sum(axis=0)
        spread = (plan * np.log(plan * 6)).sum()
        return float((plan * costs).sum() + temperature * spread + balance * (columns * np.log(2 * columns)).sum())

    for aside in itertools.product([-0.02, -1e-3, 0, 1e-3, 0.02], repeat=3):
        assert cost(found + aside) >= cost(found) - 1e-9


def test_transport_between_soft_shares_and_a_known_balance() -> None:
    costs = 1 - QUERIES @ SUPPORT.T
    lopsided = costs + np.array([0.0, 0.5])
    np.testing.assert_allclose(transported(lopsided, 0.2, 1e-9), softmax(-lopsided / 0.2), atol=1e-5)
    np.testing.assert_allclose(transported(lopsided, 0.2, np.inf).sum(axis=0), [2, 2], atol=1e-3)


def test_neighbours_are_others() -> None:
    copies = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert nearest(copies, 1).tolist() == [[1], [0], [0]]
    assert nearest(copies, 5).tolist() == [[1, 2], [0, 2], [0, 1]]
    assert nearest(copies[:1], 3).shape == (1, 0)


def test_neighbours_are_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(7, 3))
    whole = nearest(rows, 2)
    monkeypatch.setattr(laplacianshot, "_BLOCK", 3)
    assert nearest(rows, 2).tolist() == whole.tolist()


@pytest.mark.promise(135)
@pytest.mark.parametrize("name", NAMES)
def test_unlabelled_queries_help_where_one_text_is_shown(name: str) -> None:
    """Flagged, and well above plain prototypes in the toy world."""
    assert LEARNERS.entries()[name].transductive
    learner = LEARNERS.build(name, encoder=ToyEncoder())
    assert learner.transductive
    drawn = sampler(shot=1, query=10)
    plain = LEARNERS.build("prototypes", encoder=ToyEncoder())
    assert accuracy(learner, drawn) > accuracy(plain, drawn) + 0.05


def problem(support: list[tuple[str, str]], queries: list[str]) -> Problem:
    return Problem(
        "p",
        TaskInfo("t", "en", "classification"),
        tuple(Label(label, label) for label in ("c0", "c1", "c2")),
        tuple(Example(f"s{at}", text, label) for at, (text, label) in enumerate(support)),
        tuple(Query(f"q{at}", text) for at, text in enumerate(queries)),
    )


SHOWN = [("c0 a", "c0"), ("c1 b", "c1"), ("c2 c", "c2")]


@pytest.mark.parametrize(
    ("support", "queries"),
    [
        (SHOWN, ["c1 x"]),
        (SHOWN, [f"c1 x{at}" for at in range(20)]),
        (SHOWN[:2], ["c0 x", "c1 y", "c0 z"]),
        (SHOWN[:1], ["c0 x", "c0 y"]),
        (SHOWN, ["c2 x"] * 9),
        (SHOWN, ["c0 a", "c1 b", "c2 c"]),
        ([*SHOWN, ("c0 d", "c0"), ("c0 e", "c0"), ("c0 f", "c0")], ["c0 x", "c1 y"]),
        ([("c0 a", label) for label in ("c0", "c1", "c2")], ["c0 a", "c0 a"]),
    ],
    ids=[
        "one query",
        "queries of one class",
        "a class without support",
        "one class",
        "copies",
        "queries that are shown",
        "uneven support",
        "all the same",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_odd_problems_get_sane_answers(name: str, support: list[tuple[str, str]], queries: list[str]) -> None:
    learner = LEARNERS.build(name, encoder=ToyEncoder(noise=0.2), names="none")
    (found,) = learner.predict([problem(support, queries)], context())
    scores = np.array([answer.scores for answer in found.answers])
    assert np.isfinite(scores).all()
    assert np.allclose(np.exp(scores).sum(axis=1), 1)
    shown = {label for _, label in support}
    assert {answer.decision for answer in found.answers} <= shown
    one_class = name == "alpha-tim" and len(set(queries)) == 20  # mutual information pulls them apart: a trap of it
    if len({text for text, _ in support}) > 1 and not one_class:
        assert [answer.decision for answer in found.answers] == [text.split()[0] for text in queries]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_queries_changes_nothing(name: str) -> None:
    learner = LEARNERS.build(name, encoder=ToyEncoder())
    drawn = sampler(shot=1)[0].problem
    backwards = replace(drawn, id="backwards", queries=drawn.queries[::-1])
    one, other = learner.predict([drawn, backwards], context())
    for answer, again in zip(one.answers, other.answers[::-1], strict=True):
        assert np.allclose(np.exp(answer.scores), np.exp(again.scores), atol=1e-5)


def test_whoever_asks_new_texts_is_told_that_they_are_read_together(caplog: pytest.LogCaptureFixture) -> None:
    shown = problem(SHOWN, [])
    for name, told in (("prototypes", []), ("soft-kmeans", ["soft-kmeans reads the texts it is asked together, 8 at"])):
        caplog.clear()
        Labeller(LEARNERS.build(name, encoder=ToyEncoder()), shown.task, shown.labels, shown.support, batch_size=8)
        assert [message[: len(start)] for message, start in zip(caplog.messages, told, strict=True)] == told


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        *((f"{name}:temperature={bad}", "temperature=") for name in NAMES for bad in ("0", "-1", "inf", "nan")),
        *((f"{name}:steps={bad}", "steps=") for name in NAMES for bad in ("-1", "2.5")),
        *((f"{name}:centre=support", "value of centre") for name in NAMES),
        ("laplacianshot:neighbours=-1", "neighbours=-1"),
        ("laplacianshot:weight=0", "weight=0"),
        *((f"alpha-tim:alpha={bad}", "alpha=") for bad in ("0", "-2", "nan")),
        ("alpha-tim:lr=0", "lr=0"),
        *((f"transport:balance={bad}", "balance=") for bad in ("0", "-1", "nan", "inf")),
        *((f"transport:rate={bad}", "rate=") for bad in ("0", "1.5")),
    ],
)
def test_arguments_out_of_range_are_refused(spec: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        LEARNERS.build(spec)


def test_transport_can_be_told_that_classes_are_equally_frequent() -> None:
    lopsided = np.array([[0.8, 0.6], [0.96, 0.28], [0.8, 0.6], [0.6, 0.8]])
    told, untold = (Transport(centre="none", temperature=0.1, **given) for given in ({"balance": "equal"}, {}))
    assert solved(told, lopsided).sum(axis=0) == pytest.approx([2, 2], abs=0.01)
    assert solved(untold, lopsided)[:, 0].sum() > 2.4


def test_transport_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(MissingExtra, match=r'pip install "fewshot\[transport\]"'):
        LEARNERS.build("transport")
    with pytest.raises(MissingExtra, match=r'pip install "fewshot\[transport\]"'):
        transported(np.ones((1, 2)), 0.1, 0.1)


def test_vectors_in_a_narrow_cone_are_centred_between_what_is_shown_and_asked() -> None:
    lifted = normalized(np.hstack([QUERIES, np.full((4, 1), 2.0)]))
    support = normalized(np.hstack([SUPPORT, np.full((2, 1), 2.0)]))
    centre = (support.mean(axis=0) + lifted.mean(axis=0)) / 2
    plain = SoftKMeans(centre="none")
    expected = plain._solve(normalized(support - centre), CLASSES, normalized(lifted - centre), 2)
    found = SoftKMeans()._solve(support, CLASSES, lifted, 2)
    np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=1e-4)
