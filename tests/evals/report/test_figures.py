"""The numbers behind the charts, against what can be counted by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.comparison import Comparison
from evals.comparison.analysis import Verdict
from evals.comparison.tables import Outcome, Table
from evals.report import figures
from evals.stats import Interval

GOLD = [0, 0, 0, 0, 1, 1, 1, 1]
GIVEN = [0, 0, 0, 1, 0, 0, 1, -1]


@pytest.fixture
def table(comparison: Comparison) -> Table:
    known = comparison.analyses[0].table
    eight = np.arange(8)
    return replace(known, labels=("yes", "no"), gold=np.array(GOLD), episode=eight, text=eight, outcomes=())


@pytest.fixture
def outcome(comparison: Comparison) -> Outcome:
    right = np.array([float(a == b) for a, b in zip(GOLD, GIVEN, strict=True)])
    sure = np.array([0.95, 0.95, 0.55, 0.55, 0.55, 0.55, 1.0, np.nan])
    known = comparison.analyses[0].table.outcomes[0]
    return replace(known, score=right, decision=np.array(GIVEN), confidence=sure, status=np.zeros(8, dtype=np.int64))


def test_reliability(outcome: Outcome) -> None:
    low, high = figures.reliability(outcome)
    assert low == {"n": 4, "confidence": 55.0, "right": 25.0}
    assert high == {"n": 3, "confidence": pytest.approx(96.667), "right": 100.0}


def test_label_bias(table: Table, outcome: Outcome) -> None:
    found = {row["label"]: (row["ratio"], row["most"]) for row in figures.bias(table, outcome)}
    assert found == {"yes": (1.25, True), "no": (0.5, False)}


def test_confusion(table: Table, outcome: Outcome) -> None:
    rows, order = figures.confusion(table, outcome)
    assert order == ["yes", "no"]
    assert {(row["gold"], row["given"]): row["share"] for row in rows} == {
        ("yes", "yes"): 75.0,
        ("yes", "no"): 25.0,
        ("no", "yes"): 66.7,
        ("no", "no"): 33.3,
    }


def test_a_confusion_matrix_shows_the_labels_confused_most(table: Table, outcome: Outcome) -> None:
    n = 3 * figures.MAX_LABELS
    gold, given = np.arange(n), np.arange(n)
    given[[5, 7]] = [7, 5]
    many = replace(table, labels=tuple(f"l{at}" for at in range(n)), gold=gold)
    _, order = figures.confusion(many, replace(outcome, decision=given))
    assert len(order) == figures.MAX_LABELS
    assert {"l5", "l7"} <= set(order)


@pytest.mark.parametrize("winner", [True, False], ids=["a winner", "none above chance"])
def test_differences_are_from_the_best(comparison: Comparison, winner: bool) -> None:
    analysis = comparison.analyses[-1]
    if not winner:
        analysis = replace(analysis, verdict=Verdict(None, ()))
    rows = figures.differences(analysis, lambda learner: "grey")
    best, *others = analysis.standings
    assert {row["learner"]: row["mean"] for row in rows} == {
        s.learner: pytest.approx(100 * (best.accuracy.mean - s.accuracy.mean), abs=1e-3) for s in others
    }
    assert all(row["low"] <= row["mean"] <= row["high"] for row in rows)


def test_a_pair_that_is_kept_the_other_way_round_says_the_same(comparison: Comparison) -> None:
    def turned(found: Interval) -> Interval:
        return replace(found, mean=-found.mean, low=-found.high, high=-found.low)

    analysis = comparison.analyses[-1]
    best, second = (standing.learner for standing in analysis.standings[:2])
    pair = analysis.pair(best, second)
    other = replace(
        pair,
        a=pair.b,
        b=pair.a,
        difference=turned(pair.difference),
        new_texts=turned(pair.new_texts),
        effect=-pair.effect,
    )
    assert replace(analysis, pairs=(other,)).behind(second) == analysis.behind(second)


def test_a_learner_that_shares_no_episode_with_the_best_is_not_behind_it(comparison: Comparison) -> None:
    analysis = comparison.analyses[-1]
    assert replace(analysis, pairs=()).behind(analysis.standings[1].learner) is None


def test_the_front_has_no_row_that_is_dearer_and_no_better() -> None:
    rows = [{"cost": c, "mean": m} for c, m in [(3, 5), (1, 2), (2, 2), (2, 4), (4, 5)]]
    assert sorted((row["cost"], row["mean"]) for row in figures.front(rows)) == [(1, 2), (2, 4), (3, 5)]


def test_equals_share_the_front() -> None:
    rows = [{"cost": 1, "mean": 2}, {"cost": 1, "mean": 2}]
    assert figures.front(rows) == rows


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12))
def test_labels_keep_their_order_and_their_distance(means: list[float]) -> None:
    placed = figures.spread([{"mean": mean} for mean in means], 3.0)
    heights = [row["label"] for row in placed]
    assert [row["mean"] for row in placed] == sorted(means)
    assert all(high - low > 3.0 - 1e-9 for low, high in pairwise(heights))
    assert all(row["label"] >= row["mean"] for row in placed)


def test_curve(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("step,loss,accuracy,valid_loss,valid_accuracy,diverged\n0,,,1.5,0.2,0\n5,1.0,,0.5,,1\n")
    assert [(row["step"], row["figure"], row["side"], row["value"]) for row in figures.curve(path)] == [
        (0, "loss", "validation", 1.5),
        (0, "accuracy", "validation", 0.2),
        (5, "loss", "training", 1.0),
        (5, "loss", "validation", 0.5),
    ]
