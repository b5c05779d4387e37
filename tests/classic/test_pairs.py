"""Learners that are trained see both texts of a pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from classic.networks.text import NgramIds, Subwords
from classic.training.data import TextTable, index_problem
from classic.training.inputs import FrozenFeatures
from evals.label_names import with_names
from evals.learner import Context
from evals.types import Example, Label, Problem, Query, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError
from fewshot.encoders import build_encoder

INFO = TaskInfo("pairs", "en", "classification", template="pair", fields=("text_pair",))
SAME, OTHER = ("rain falls here", "rain falls here"), ("rain falls here", "a dog sleeps well")


def example(id: str, pair: tuple[str, str], label: str) -> Example:
    return Example(id, pair[0], label, {"text_pair": pair[1]})


def problem_of(pairs: list[tuple[str, str]]) -> Problem:
    support = (example("s0", SAME, "same"), example("s1", OTHER, "other"))
    queries = tuple(Query(f"q{at}", one, {"text_pair": other}) for at, (one, other) in enumerate(pairs))
    return Problem("p", INFO, (Label("same", "same"), Label("other", "other")), support, queries)


@pytest.mark.promise(116)
@pytest.mark.parametrize(
    "spec",
    ["nn", "tfidf", "prototypes:encoder=lexical", "probe:encoder=lexical", "prototypes:encoder=lexical,names=auto"],
)
def test_the_second_text_decides_where_the_first_is_always_the_same(spec: str) -> None:
    problem = problem_of([SAME, OTHER])
    (done,) = LEARNERS.build(spec).predict([problem], Context())
    assert [answer.decision for answer in done.answers] == ["same", "other"]


@pytest.mark.parametrize("inputs", ["frozen", "ngrams", "subwords"])
def test_rows_of_pairs_with_one_first_text_differ(inputs: str) -> None:
    made = {
        "frozen": lambda: FrozenFeatures(build_encoder("lexical")),
        "ngrams": lambda: NgramIds(500, 64),
        "subwords": lambda: Subwords(300, 64),
    }[inputs]()
    made.fit(["rain falls here", "a dog sleeps well"])
    table = TextTable(made)
    task = index_problem(problem_of([SAME, OTHER]), table)
    assert task.support.tolist() == task.query.tolist()
    assert len(set(task.support.tolist())) == 2


def test_a_pair_of_equal_texts_has_no_difference() -> None:
    vectors = FrozenFeatures(build_encoder("lexical")).vectors([SAME, OTHER])
    width = vectors.shape[1] // 3
    assert np.allclose(vectors[0, 2 * width :], 0)
    assert not np.allclose(vectors[1, 2 * width :], 0)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_texts_and_pairs_are_not_compared() -> None:
    problem = problem_of([SAME])
    mixed = replace(problem, support=(*problem.support, Example("s2", "a text alone", "same")))
    with pytest.raises(UsageError, match="texts and pairs of texts"):
        list(LEARNERS.build("prototypes:encoder=lexical,names=none").predict([mixed], Context()))


def test_a_name_is_no_pair() -> None:
    problem = problem_of([SAME])
    assert with_names(problem, "auto") == problem
    single = replace(problem, task=replace(INFO, fields=()))
    assert len(with_names(single, "auto").support) == 4
