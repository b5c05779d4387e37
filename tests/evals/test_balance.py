"""Queries that are spread unevenly over the classes of an episode."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from evals.balance import Dirichlet, apportioned, read_balance
from evals.episode import EpisodeSampler
from fewshot.core.errors import TaskError, UsageError
from tests.evals.fakes import KINDS, classification_task, sampler_of

UNEVEN = "dirichlet:2"


def sampler(balance: str = UNEVEN, *, way: int = 3, shot: int = 2, per_class: int = 60) -> EpisodeSampler:
    return EpisodeSampler(classification_task(per_class=per_class), way, shot, 5, query_balance=balance)


def counts(drawn: EpisodeSampler, index: int) -> list[int]:
    """How many queries each class of an episode has, absent ones too."""
    episode = drawn[index]
    found = Counter(episode.gold)
    return [found[label.name] for label in episode.problem.labels]


@pytest.mark.promise(136)
def test_proportions_are_drawn_per_episode_and_their_spread_is_that_of_dirichlet() -> None:
    found = np.array([counts(sampler(), index) for index in range(150)])
    shares = found / 15
    assert set(found.sum(axis=1)) == {15}
    assert len({tuple(row) for row in shares.tolist()}) > 50
    assert shares.mean() == pytest.approx(1 / 3)
    # Of Dirichlet(2, 2, 2): a (A - a) / A^2 / (A + 1), with a = 2 and A = 6.
    assert shares.var() == pytest.approx(2 * 4 / 36 / 7, rel=0.3)


@pytest.mark.parametrize(
    ("balance", "least_spread", "most_spread"),
    [("equal", 0, 0), ("dirichlet:10000", 0, 1), ("dirichlet:2", 3, 10), ("dirichlet:0.001", 14, 15)],
)
def test_the_lower_alpha_the_more_uneven(balance: str, least_spread: int, most_spread: int) -> None:
    spread = [max(found) - min(found) for found in (counts(sampler(balance), index) for index in range(40))]
    assert least_spread <= np.median(spread) <= most_spread


def test_shots_and_balances_share_what_they_can() -> None:
    """Queries do not depend on the shot, the support and the classes not on the balance."""
    for index in range(5):
        few, many = sampler(shot=1)[index], sampler(shot=5)[index]
        assert (few.query_ids, few.gold, few.pairing) == (many.query_ids, many.gold, many.pairing)
        even = sampler("equal", shot=5)[index]
        assert (even.problem.labels, even.problem.support) == (many.problem.labels, many.problem.support)
        assert not set(many.query_ids) & {row.id for row in many.problem.support}


def test_a_balance_of_its_own_makes_episodes_of_its_own() -> None:
    manifests = [sampler(balance).manifest(4) for balance in ("equal", "dirichlet:2", "dirichlet:1")]
    assert len({digest for manifest in manifests for digest in manifest}) == 12
    assert sampler("dirichlet").manifest(4) == manifests[1]
    assert sampler("dirichlet").query_balance == "dirichlet:2"


@pytest.mark.parametrize(
    ("total", "shares", "most", "expected"),
    [
        (10, [0.5, 0.3, 0.2], [10, 10, 10], [5, 3, 2]),
        (10, [0.55, 0.25, 0.2], [10, 10, 10], [6, 2, 2]),
        (10, [1.0, 0.0, 0.0], [10, 10, 10], [10, 0, 0]),
        (10, [0.9, 0.1, 0.0], [4, 10, 10], [4, 6, 0]),
        (10, [1.0, 0.0, 0.0], [4, 10, 10], [4, 3, 3]),
        (10, [0.8, 0.1, 0.1], [4, 3, 3], [4, 3, 3]),
        (2, [0.4, 0.4, 0.2], [9, 9, 9], [1, 1, 0]),
    ],
)
def test_whole_numbers_in_proportion(total: int, shares: list[float], most: list[int], expected: list[int]) -> None:
    assert apportioned(total, np.array(shares), most) == expected


def test_small_classes_are_asked_for_what_they_have() -> None:
    """30 texts: 15 are kept to be shown, so of 25 queries at most 15 are of one class."""
    found = [counts(sampler("dirichlet:0.01", way=5, per_class=30), index) for index in range(20)]
    assert {sum(each) for each in found} == {25}
    assert {max(each) for each in found} == {15}
    with pytest.raises(TaskError, match=r"30 texts, of which up to 15 .* and 20 are to be shown; lower --shot"):
        sampler(way=5, shot=20, per_class=30)


@pytest.mark.parametrize("tiny", [1e-300, 1e-3, 0.5])
def test_tiny_concentrations_are_finite(tiny: float) -> None:
    found = Dirichlet(tiny).counts(10, [10, 10, 10], np.random.RandomState(0))
    assert sum(found) == 10 and min(found) >= 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dirichlet:0", "above 0"),
        ("dirichlet:-1", "above 0"),
        ("dirichlet:nan", "above 0"),
        ("dirichlet:inf", "above 0"),
        ("dirichlet:", "above 0"),
        ("dirichlet:much", "above 0"),
        ("dirichlett", "none of equal, dirichlet"),
        ("", "none of equal, dirichlet"),
        ("equal:2", "none of equal, dirichlet"),
    ],
)
def test_other_words_are_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"--query-balance: .*{told}"):
        read_balance(text)
    with pytest.raises(UsageError, match=told):
        sampler(text)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "classification"])
def test_tasks_without_one_label_per_text_have_no_balance(kind: str) -> None:
    with pytest.raises(UsageError, match=f"one label per text; this is a {kind} task"):
        replace(sampler_of(kind), query_balance=UNEVEN)
