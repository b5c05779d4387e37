"""Token by token similarity, by hand and on a tiny encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classic.learners.fastfit import FastFit, token_similarity
from evals.types import Label, Status
from fewshot.core.errors import UsageError
from tests.classic.learners.test_finetune import SUPPORT, problem
from tests.classic.networks.test_text import tiny_model
from tests.classic.toys import context

__all__ = ["tiny_model"]

#: Tokens by name, and their directions.
DIRECTIONS = {"right": [2.0, 0.0], "up": [0.0, 3.0], "left": [-1.0, 0.0], "slope": [1.0, 1.0]}


def tokens(texts: list[str], length: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts of named tokens, padded with tokens that would be like any other."""
    vectors, mask = torch.full((len(texts), length, 2), 7.0), torch.zeros(len(texts), length)
    for row, text in enumerate(texts):
        for at, name in enumerate(text.split()):
            vectors[row, at], mask[row, at] = torch.tensor(DIRECTIONS[name]), 1
    return vectors, mask


@pytest.mark.parametrize(
    ("query", "other", "expected"),
    [
        ("right", "right", 1.0),
        ("right", "up", 0.0),
        ("right", "left", -1.0),
        ("right", "left up right", 1.0),
        ("right up", "right", 0.5),
        ("right", "right up", 1.0),
        ("slope", "right up", 0.5**0.5),
        ("slope left up", "up", (0.5**0.5 + 0 + 1) / 3),
        ("", "right", -1.0),
        ("right", "", -1.0),
    ],
)
def test_the_similarity_is_the_mean_over_tokens_of_the_best_cosine(query: str, other: str, expected: float) -> None:
    """It is not symmetric, and padding is like nothing."""
    found = token_similarity(*tokens([query, "up"]), *tokens([other, "left", "up"], length=4))
    assert found.shape == (2, 3)
    assert found[0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert found[1].tolist()[1:] == pytest.approx([0, 1], abs=1e-6)


def scores(model: Path, **arguments: Any) -> np.ndarray:
    (done,) = FastFit(encoder=str(model), steps=0, **arguments).predict([problem()], context())
    return np.array([answer.scores for answer in done.answers])


@pytest.mark.parametrize(("names", "documents"), [("auto", [0, 2, 4, 1, 3, 5]), ("none", [0, 2, 1, 3])])
@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_a_class_scores_over_its_texts_and_its_name(
    aggregate: Any, names: Any, documents: list[int], tiny_model: Path
) -> None:
    from classic.learners.support_training import tokens_of
    from classic.networks.hub import ModelIds, load_module

    ids, module = ModelIds(tiny_model, 64), load_module(tiny_model)
    texts = [*SUPPORT, "card", "delivery"]
    with torch.no_grad():
        queries, others = (tokens_of(module, ids, each) for each in (["card lost", "늦어요"], texts))
    near = token_similarity(*queries, *others).double().numpy() / 0.5
    expected = getattr(near[:, documents].reshape(2, 2, -1), aggregate)(axis=2)
    expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
    found = scores(tiny_model, temperature=0.5, aggregate=aggregate, names=names)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_class_without_a_document_is_never_the_answer(tiny_model: Path) -> None:
    other = Label("7", "7")
    asked = replace(problem(), labels=(other, *problem().labels))
    (done,) = FastFit(encoder=str(tiny_model), steps=0).predict([asked], context())
    assert all(np.exp(answer.scores[0]) == 0 for answer in done.answers if answer.scores)
    assert all(answer.decision != "7" for answer in done.answers)


def test_names_serve_where_there_is_no_support_and_nothing_at_all_is_a_failure(tiny_model: Path) -> None:
    bare = replace(problem(), support=())
    (done,) = FastFit(encoder=str(tiny_model), steps=2).predict([bare], context())
    assert {answer.status for answer in done.answers} == {Status.OK}
    (done,) = FastFit(encoder=str(tiny_model), names="none").predict([bare], context())
    assert {answer.status for answer in done.answers} == {Status.ERROR}
    (done,) = FastFit(encoder=str(tiny_model)).predict([replace(problem(), queries=())], context())
    assert done.answers == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"aggregate": "median"}, "unknown aggregate 'median'"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"names": "all"}, "unknown value of names"),
        ({"steps": -1}, "steps=-1"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_bad_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FastFit(**arguments)
