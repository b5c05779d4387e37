"""Orderings depend on run, support and query alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.episode import EpisodeSampler
from evals.loading import load_task
from evals.types import Example, Query
from fewshot.core.errors import UsageError
from icl import KNN, Pool
from icl.orderings import Given, NearestLast, Ordering, Shared, Shuffled
from icl.selectors import Pick

QUERY = Query("q0", "text")


def picks(*similarities: float | None) -> list[Pick]:
    return [Pick(Example(f"s{at}", f"text {at}", "x"), value) for at, value in enumerate(similarities)]


def ids(ordered: list[Pick]) -> list[str]:
    return [pick.example.id for pick in ordered]


@given(st.lists(st.floats(-1, 1), max_size=8), st.integers())
def test_orderings_lose_nothing(similarities: list[float], seed: int) -> None:
    chosen = picks(*similarities)
    for ordering in (Given(), NearestLast(), Shuffled(), Shuffled(per_query=True), Shared({"s0": 1})):
        assert sorted(ids(ordering.order(chosen, QUERY, [seed]))) == sorted(ids(chosen))


def test_given_keeps_the_order() -> None:
    assert ids(Given().order(picks(0.1, 0.9), QUERY)) == ["s0", "s1"]


def test_nearest_last_and_ties_prefer_the_selectors_choice() -> None:
    assert ids(NearestLast().order(picks(0.9, 0.5, 0.5, 0.1), QUERY)) == ["s3", "s2", "s1", "s0"]


def test_nearest_last_needs_similarities() -> None:
    with pytest.raises(UsageError, match="--selector knn"):
        NearestLast().order(picks(None, None), QUERY)


@given(st.integers(), st.permutations(range(6)))
def test_pitfall_15_shuffling_does_not_depend_on_the_order_it_was_given(seed: int, order: list[int]) -> None:
    chosen = picks(*[None] * 6)
    again = [chosen[at] for at in order]
    assert Shuffled().order(chosen, QUERY, [seed]) == Shuffled().order(again, QUERY, [seed])


def test_shuffled_is_shared_by_queries_unless_told() -> None:
    chosen, other = picks(*[None] * 12), Query("q1", "other")
    assert Shuffled().order(chosen, QUERY, [1]) == Shuffled().order(chosen, other, [1])
    assert Shuffled().order(chosen, QUERY, [1]) != Shuffled().order(chosen, QUERY, [2])
    each = Shuffled(per_query=True)
    assert each.order(chosen, QUERY, [1]) != each.order(chosen, other, [1])


def test_shuffling_fewer_keeps_their_order() -> None:
    chosen = picks(*[None] * 8)
    fewer = ids(Shuffled().order(chosen[:5], QUERY, [1]))
    assert [name for name in ids(Shuffled().order(chosen, QUERY, [1])) if name in fewer] == fewer


def test_pitfall_18_no_class_always_stands_last() -> None:
    last = [Shuffled().order(picks(None, None, None), QUERY, [seed])[-1].example.id for seed in range(300)]
    assert all(70 <= last.count(name) <= 130 for name in ("s0", "s1", "s2"))


def test_shared_puts_the_popular_first_and_draws_the_rest() -> None:
    chosen = picks(*[None] * 4)
    assert ids(Shared({"s2": 5, "s1": 1}).order(chosen, QUERY, [1]))[:2] == ["s2", "s1"]
    drawn = {tuple(ids(Shared().order(chosen, QUERY, [seed]))) for seed in range(20)}
    assert len(drawn) > 1, "equally popular ones stand in the order of the seed"
    assert Shared().describe() == {"name": "shared"}


@pytest.mark.promise(131)
def test_shared_makes_prompts_of_different_demonstrations_begin_alike() -> None:
    sampler = EpisodeSampler(load_task("intents-en"), 5, 5, 15)
    selector = KNN(encoder="lexical")

    def beginnings(ordering: Ordering) -> int:
        """How many demonstrations are computed, where equal beginnings of prompts are computed once."""
        total = 0
        for at in range(3):
            problem = sampler[at].problem
            pool = Pool(problem.support, "en")
            settled = ordering.over(selector, pool, 5, [at]) if isinstance(ordering, Shared) else ordering
            chosen = selector.select(problem.queries, pool, 5, [at])
            prompts = [
                ids(settled.order(each, query, [at])) for query, each in zip(problem.queries, chosen, strict=True)
            ]
            total += len({tuple(prompt[: end + 1]) for prompt in prompts for end in range(len(prompt))})
        return total

    assert beginnings(Shared()) < beginnings(Shuffled()) < beginnings(NearestLast())
