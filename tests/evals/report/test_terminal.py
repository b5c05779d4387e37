"""Charts in the terminal: they fit, line up, and say where things are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.comparison import Comparison
from evals.report.terminal import columns, fitted, intervals


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(comparison: Comparison, width: int) -> None:
    assert max(columns(line) for line in intervals(comparison.analyses[0], width)) <= width


def test_one_line_per_learner_and_a_dot_in_each(comparison: Comparison) -> None:
    analysis = comparison.analyses[0]
    *rows, ruler, numbers = intervals(analysis)
    assert [row.count("●") for row in rows] == [1] * len(analysis.standings)
    assert all(row.startswith(s.learner) for row, s in zip(rows, analysis.standings, strict=True))
    assert set(ruler.strip()) == {"─", "┴"}
    assert numbers.split() == sorted(numbers.split(), key=int)


def test_dots_stand_above_their_value(comparison: Comparison) -> None:
    analysis = comparison.analyses[0]
    *rows, ruler, numbers = intervals(analysis)
    ticks = [at for at, char in enumerate(ruler) if char == "┴"]
    values = [float(number) for number in numbers.split()]
    per_column = (values[-1] - values[0]) / (ticks[-1] - ticks[0])
    for row, standing in zip(rows, analysis.standings, strict=True):
        at = columns(row[: row.index("●")])
        assert values[0] + (at - ticks[0]) * per_column == pytest.approx(
            100 * standing.accuracy.mean, abs=0.51 * per_column
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("abc", 3), ("한국어", 6), ("한국어 ok", 9), ("ｆｕｌｌ", 8), ("e\u0301", 1), ("a\x1bb", 3)],
)
def test_columns(text: str, expected: int) -> None:
    assert columns(text) == expected


@given(st.text(max_size=40), st.integers(2, 30))
def test_fitted_text_takes_exactly_its_place(text: str, width: int) -> None:
    assert columns(fitted(text, width)) == width
