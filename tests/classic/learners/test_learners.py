"""Every learner on a small separable world, and what all of them promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from classic.learners.probe import logistic_regression
from classic.learners.prototypes import Prototypes
from evals.learner import Background, MetaLearner
from evals.types import Status
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import FewshotError, UsageError
from fewshot.encoders.prototypes import class_means, cosine_logits
from tests.classic.toys import ToyEncoder, accuracy, context, data, fitted, sampler

META = [
    name
    for name, entry in LEARNERS.entries().items()
    if entry.needs_meta_training and entry.target.startswith("classic.") and "text" in (entry.modalities or ())
]
FROZEN = ["prototypes", "probe"]
#: Enough for the toy world, and a second or two.
QUICK: dict[str, Any] = {"steps": 80, "eval_every": 40, "meta_batch": 4, "n_valid": 20, "train_way": None, "lr": 3e-3}
FEW: dict[str, Any] = {"steps": 20, "eval_every": 20, "lr": 1e-2}
OTHERWISE: dict[str, dict[str, Any]] = {
    "relation": {"steps": 200, "lr": 1e-2},
    "reptile": {"lr": 0.5},
    "mann": {"steps": 20, "eval_every": 20, "cells": 16},
    "snail": {"steps": 20, "eval_every": 20, "filters": 8},
    "metanet": {"steps": 20, "eval_every": 20},
    **{name: {**FEW, "inner_steps": 2} for name in ("protomaml", "boil", "cavia", "mamlpp", "imaml")},
    **dict.fromkeys(("metaoptnet", "metabaseline"), FEW),
}


def build(name: str, **settings: Any) -> Any:
    quick = {**QUICK, **OTHERWISE.get(name, {})} if name in META else {}
    return LEARNERS.build(name, encoder=ToyEncoder(), **{**quick, **settings})


@cache
def ready(name: str) -> Any:
    return fitted(build(name)) if name in META else build(name)


@pytest.mark.parametrize("name", [*FROZEN, *META])
def test_learns_the_toy_world_well_above_chance(name: str) -> None:
    assert accuracy(ready(name), sampler()) > 0.6  # chance: 1 in 3


def test_meta_training_beats_the_untrained_prototypes() -> None:
    """What the adapter learns on some classes (which columns are noise) serves others."""
    assert accuracy(ready("protonet"), sampler()) > accuracy(ready("prototypes"), sampler()) + 0.1


@pytest.mark.parametrize("name", META)
def test_meta_learners_say_what_they_are(name: str) -> None:
    learner = build(name)
    assert isinstance(learner, MetaLearner)
    assert not learner.trained
    assert learner.name == name
    described = learner.describe()
    assert described["weights"] is None
    assert described["encoder"]["name"] == "toy"
    assert {"steps", "lr", "meta_batch", "seed"} <= described.keys()
    assert not {"executor", "chunk_size", "train", "from_"} & described.keys()
    with pytest.raises(UsageError, match=f"{name} is not trained. Give from=FOLDER"):
        list(learner.predict([sampler()[0].problem], context()))


@pytest.mark.parametrize("name", ["prototypes", "probe", "protonet", "maml"])
def test_answers_are_complete_normalised_and_independent_of_the_chunk(name: str) -> None:
    learner = ready(name)
    problems = [sampler()[0].problem, sampler(way=2, shot=1, query=3)[1].problem, sampler(shot=4)[2].problem]
    together = {done.problem_id: done for done in learner.predict(problems, context())}
    for problem in problems:
        (alone,) = learner.predict([problem], context())
        answers = together[problem.id].answers
        assert [answer.decision for answer in answers] == [answer.decision for answer in alone.answers]
        scores = np.array([answer.scores for answer in answers])
        assert scores.shape == (len(problem.queries), len(problem.labels))
        assert np.allclose(np.exp(scores).sum(axis=1), 1)
        assert np.allclose(scores, [answer.scores for answer in alone.answers], atol=1e-4)
        assert together[problem.id].usage["predict"].seconds > 0


def test_prototypes_are_the_nearest_class_means() -> None:
    problem = sampler()[3].problem
    names = [label.name for label in problem.labels]
    support = ToyEncoder().encode([example.text for example in problem.support])
    queries = ToyEncoder().encode([query.text for query in problem.queries])
    classes = np.array([names.index(str(example.label)) for example in problem.support])
    expected = cosine_logits(queries, class_means(support, classes, len(names))).argmax(axis=1)
    (found,) = Prototypes(encoder=ToyEncoder(), centre="none").predict([problem], context())
    assert [answer.decision for answer in found.answers] == [names[at] for at in expected]


#: Two classes in a narrow cone about the first axis, and two that stand apart.
CONE = np.array([[1.0, 0.3], [1.0, -0.1], [1.0, -0.2], [1.0, -0.6]])
APART = np.array([[1.0, 0.3], [1.0, -0.1], [0.2, 1.0], [-0.6, 1.0]])


@pytest.mark.promise(107)
@pytest.mark.parametrize(
    ("vectors", "shown", "classes", "given", "centred"),
    [
        (CONE, [0, 1, 2, 3], [0, 0, 1, 1], "auto", True),
        (CONE, [0, 1, 2], [0, 0, 1], "auto", True),
        (CONE, [3, 2, 1, 0], [1, 1, 0, 0], "auto", True),
        (CONE, [0, 2], [0, 1], "auto", False),
        (CONE, [0, 1, 2], [0, 0, 0], "auto", False),
        (CONE, [0, 1, 2, 3], [0, 0, 2, 2], "auto", False),
        (APART, [0, 1, 2, 3], [0, 0, 1, 1], "auto", False),
        (APART, [0, 1, 2, 3], [0, 0, 1, 1], "support", True),
        (CONE, [0, 1, 2, 3], [0, 0, 1, 1], None, False),
    ],
    ids=["two each", "uneven", "other order", "one each", "one class", "a class without", "apart", "asked", "refused"],
)
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_centre_is_taken_away_where_the_support_tells_it(
    vectors: np.ndarray, shown: list[int], classes: list[int], given: Any, centred: bool, distance: Any
) -> None:
    def of_length_1(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    queries, gold = of_length_1(vectors), np.array(classes)
    support, n_way = queries[shown], 3 if 2 in classes else 2
    centre = np.mean([support[gold == one].mean(axis=0) for one in set(classes)], axis=0)
    plain = Prototypes(encoder=ToyEncoder(), distance=distance, centre="none")
    expected = (of_length_1(support - centre), of_length_1(queries - centre)) if centred else (support, queries)
    found = Prototypes(encoder=ToyEncoder(), distance=distance, centre=given)._solve(support, gold, queries, n_way)
    np.testing.assert_allclose(found, plain._solve(expected[0], gold, expected[1], n_way), atol=1e-5)


@pytest.mark.promise(138)
@pytest.mark.parametrize("shot", [1, 5], ids=["one shot", "five shots"])
@pytest.mark.parametrize("spec", ["simpleshot", "prototypes:centre=base", "prototypes:centre=base,distance=euclidean"])
def test_the_centre_of_the_training_classes_is_taken_away(spec: str, shot: int) -> None:
    """Centred and scaled to length 1, in float64, by hand; the background is prepared twice, the first in vain."""
    texts, problem, encoder = data().background.texts, sampler(shot=shot)[0].problem, ToyEncoder()

    def centred(texts: list[str]) -> np.ndarray:
        vectors = encoder.encode(texts).astype(float) - centre
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    centre = encoder.encode(texts).astype(float).mean(axis=0)
    names = [label.name for label in problem.labels]
    support, queries = (centred([row.text for row in rows]) for rows in (problem.support, problem.queries))
    classes = np.array([names.index(str(example.label)) for example in problem.support])
    means = np.stack([support[classes == at].mean(axis=0) for at in range(len(names))])
    if "euclidean" in spec or spec == "simpleshot":
        scores = -np.square(queries[:, None] - means).sum(axis=2)
    else:
        scores = queries @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    expected = scores / 0.1 - np.log(np.exp(scores / 0.1).sum(axis=1, keepdims=True))

    learner = LEARNERS.build(spec, encoder=encoder, names="none")
    learner.prepare(Background(texts[:3]), context())
    list(learner.predict([problem], context()))
    learner.prepare(Background(texts), context())
    (found,) = learner.predict([problem], context())
    np.testing.assert_allclose([answer.scores for answer in found.answers], expected, atol=1e-4)


@pytest.mark.promise(138)
@pytest.mark.parametrize("spec", ["simpleshot", "prototypes:centre=base"])
def test_without_training_classes_there_is_no_centre_of_them(spec: str) -> None:
    learner = LEARNERS.build(spec, encoder=ToyEncoder())
    with pytest.raises(UsageError, match=r"there are none: use a task with class splits, or prototypes:centre=support"):
        list(learner.predict([sampler()[0].problem], context()))


def test_a_lexical_encoder_learns_its_frequencies_from_the_background_alone() -> None:
    known = data()
    learner = Prototypes(encoder="lexical")
    problem = sampler()[0].problem
    (without,) = learner.predict([problem], context())
    learner.prepare(known.background, context())
    (with_texts,) = learner.predict([problem], context())
    assert with_texts.answers != without.answers
    learner.prepare(Background(), context())
    (again,) = learner.predict([problem], context())
    assert again.answers == without.answers


@pytest.mark.parametrize("name", FROZEN)
def test_a_problem_without_support_is_a_failure_and_no_crash(name: str) -> None:
    problem = replace(sampler()[0].problem, support=())
    other = sampler()[1].problem
    found = {done.problem_id: done for done in build(name).predict([problem, other], context())}
    assert {answer.status for answer in found[problem.id].answers} == {Status.ERROR}
    assert {answer.status for answer in found[other.id].answers} == {Status.OK}


@pytest.mark.parametrize("name", FROZEN)
def test_nan_in_features_stops_the_run_with_the_text(name: str) -> None:
    problem = sampler()[0].problem
    faulty = LEARNERS.build(name, encoder=ToyEncoder(faulty=problem.queries[0].text))
    with pytest.raises(FewshotError, match="gave NaN or infinity"):
        list(faulty.predict([problem], context()))


def test_an_inner_loop_that_diverges_at_test_time_is_a_failure_not_a_guess() -> None:
    learner = fitted(build("fomaml", steps=1, eval_every=1, learn_inner_lr=False, inner_lr=1.0))
    learner._model = replace(learner._model, algorithm=replace(learner._model.algorithm, inner_lr=1e30))
    (done,) = learner.predict([sampler()[0].problem], context())
    assert {answer.status for answer in done.answers} == {Status.ERROR}
    assert "diverged" in done.answers[0].detail


def test_stops_between_chunks_when_told_to() -> None:
    ctx = context()
    ctx.cancel.set()
    assert list(build("prototypes").predict([sampler()[0].problem], ctx)) == []


def world(n_way: int, shot: int, d: int, apart: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Support, its classes, and queries: unit vectors around the centres of classes."""
    random = np.random.default_rng(n_way * shot)
    centres = random.normal(size=(n_way, 1, d)) * apart
    support, queries = (
        (each / np.linalg.norm(each, axis=-1, keepdims=True)).reshape(-1, d)
        for each in (centres + random.normal(size=(n_way, n, d)) for n in (shot, 6))
    )
    return support, np.repeat(np.arange(n_way), shot), queries


@pytest.mark.parametrize(
    ("n_way", "shot", "d", "apart", "c"),
    [
        pytest.param(5, 5, 384, 0.3, 100.0, id="5-way 5-shot"),
        pytest.param(5, 1, 384, 0.3, 100.0, id="one text per class"),
        pytest.param(2, 5, 384, 0.3, 100.0, id="two classes: binomial"),
        pytest.param(2, 30, 12, 0.1, 1.0, id="two classes that overlap"),
        pytest.param(3, 40, 30, 0.3, 1.0, id="more texts than columns"),
        pytest.param(20, 5, 64, 0.5, 10.0, id="20-way"),
    ],
)
def test_the_probe_is_scikit_learns_logistic_regression(n_way: int, shot: int, d: int, apart: float, c: float) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    support, classes, queries = world(n_way, shot, d, apart)
    support[-1] = support[-2]  # a text twice
    known = linear.LogisticRegression(C=c, tol=1e-10, max_iter=100_000).fit(support, classes)
    found = logistic_regression(support, classes, queries, n_way, c)
    assert np.abs(found - known.predict_log_proba(queries)).max() < 1e-4


@pytest.mark.parametrize(
    "spec",
    ["probe:c=0", "probe:c=-1", "prototypes:temperature=0", "prototypes:distance=l1", "prototypes:centre=queries"],
)
def test_parameters_that_mean_nothing_are_refused_before_any_work(spec: str) -> None:
    with pytest.raises(UsageError):
        LEARNERS.build(f"{spec},encoder=lexical")


@pytest.mark.parametrize(
    ("classes", "expected"),
    [([0, 1, 0, 1], 0), ([2, 2, 2, 2], 2)],
    ids=["two of three classes", "a single class"],
)
def test_the_probe_answers_where_classes_are_missing_from_the_support(classes: list[int], expected: int) -> None:
    support = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]])
    scores = logistic_regression(support, np.array(classes), support[:1], 3, c=100.0)
    assert scores.shape == (1, 3)
    assert np.isfinite(scores).all()
    assert scores.argmax() == expected


def test_registry_entries_match_what_the_learners_are() -> None:
    entries: dict[str, Callable[..., Any]] = {name: LEARNERS.build(name) for name in [*FROZEN, *META]}
    assert {name for name, learner in entries.items() if isinstance(learner, MetaLearner)} == set(META)
    assert {name for name in entries if LEARNERS.entry(name).extra == "local"} == set(META)
