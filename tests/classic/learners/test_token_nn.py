"""Entities by the nearest tokens, with vectors that can be seen through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from classic.learners.token_nn import TokenNeighbours, _tags  # pyright: ignore[reportPrivateUsage]
from evals.checks import checked
from evals.learner import Context
from evals.types import Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.errors import UsageError

INFO = TaskInfo("ner", "en", "tagging", fields=("tokens",))


@dataclass(eq=False, kw_only=True)
class Seen(TokenNeighbours):
    """A piece is a character; its vector says whether it is upper case, a digit, or neither."""

    encoder: str = "minilm"

    def _pieces(self, texts: Sequence[str], ctx: Context) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for text in texts:
            places = [(at, at + 1) for at, char in enumerate(text) if char != " "]
            states = [[float(text[a].isupper()), float(text[a].isdigit()), float(text[a].islower())] for a, _ in places]
            yield np.array(places).reshape(-1, 2), np.array(states, np.float32).reshape(-1, 3)


def problem_of(*texts: str) -> Problem:
    shown = "ab CD ef 12"
    tags = ("O", "O", "O", "B-X", "I-X", "O", "O", "O", "O", "B-N", "I-N")
    support = (Example("s", shown, tags, {"tokens": list(shown)}),)
    queries = tuple(Query(f"q{at}", text, {"tokens": list(text)}) for at, text in enumerate(texts))
    return Problem("p", INFO, (Label("X", "X"), Label("N", "N")), support, queries)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("ghI", "O O B-X"),
        ("3x", "B-N O"),
        ("AB", "B-X I-X"),
        ("A B", "B-X I-X I-X"),
        ("A1", "B-X B-N"),
        ("a", "O"),
        ("a b", "O O O"),
    ],
)
def test_a_token_is_of_the_type_of_those_that_are_like_it(text: str, tags: str, k: int) -> None:
    problem = problem_of(text)
    (done,) = Seen(k=k).predict([problem], Context())
    (answer,) = checked(done, problem, "token-nn").answers
    assert (answer.status, answer.decision) == (Status.OK, tuple(tags.split()))


@pytest.mark.parametrize(
    ("types", "tags"),
    [
        (["X", None, "X"], ("B-X", "I-X", "I-X")),
        (["X", None, "N"], ("B-X", "O", "B-N")),
        ([None, "X", None], ("O", "B-X", "O")),
        (["O", None, "O"], ("O", "O", "O")),
        ([], ()),
    ],
)
def test_a_blank_belongs_to_the_entity_on_both_of_its_sides(types: list[str | None], tags: tuple[str, ...]) -> None:
    assert _tags(types) == tags


def test_other_kinds_and_no_support_are_told() -> None:
    problem = problem_of("a")
    with pytest.raises(UsageError, match="answers 'tagging' tasks"):
        list(Seen().predict([replace(problem, task=replace(INFO, kind="classification"))], Context()))
    (done,) = Seen().predict([replace(problem, support=())], Context())
    assert done.answers[0].status is Status.ERROR
