"""Charts in the terminal: plain Unicode that says the same without colour."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from evals.comparison.analysis import Analysis, Standing
from evals.report.svg import cleaned
from evals.stats import Interval

_MIN_PLOT, _MAX_LABEL = 20, 32
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)


def intervals(analysis: Analysis, width: int = 80) -> list[str]:
    """Every learner's score on one axis: a dot, its 95 % interval for this pool of texts (thick) and for new texts.

    Args:
        width: of the terminal, in columns; wide characters take two.

    Returns:
        One line per learner, best first, then the axis.
    """
    return _drawn([(standing.learner, standing) for standing in analysis.standings], width)


def curve(learner: str, analyses: Sequence[Analysis], width: int = 80) -> list[str]:
    """One learner's score at every number of shots, drawn as in `intervals`.

    Returns:
        One line per table, then the axis.
    """
    return _drawn([(f"{one.table.shot}-shot", one.standing(learner)) for one in analyses], width)


def _drawn(rows: Sequence[tuple[str, Standing]], width: int) -> list[str]:
    label_width = min(_MAX_LABEL, max(columns(label) for label, _ in rows), max(8, width - _MIN_PLOT - 8))
    plot = max(_MIN_PLOT, width - label_width - 8)
    found = [value for _, s in rows for value in (s.accuracy.low, s.accuracy.high, s.new_texts.low, s.new_texts.high)]
    axis = _Axis(max(0.0, min(found)), min(1.0, max(found)), plot)
    lines = [
        f"{fitted(label, label_width)} {100 * s.accuracy.mean:5.1f} {axis.row(s.accuracy, s.new_texts)}".rstrip()
        for label, s in rows
    ]
    margin = " " * (label_width + 7)
    return [*lines, f"{margin}{axis.ruler()}", f"{margin}{axis.numbers()}".rstrip()]


class _Axis:
    """A stretch of the scale from 0 to 1, in columns."""

    def __init__(self, low: float, high: float, width: int) -> None:
        step = next((step for step in _STEPS if (high - low) / step <= max(4, width // 8)), _STEPS[-1])
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        self.ticks = [at * step for at in range(first, max(last, first + 1) + 1)]
        self.width = width

    def column(self, value: float) -> int:
        low, high = self.ticks[0], self.ticks[-1]
        return min(self.width - 1, max(0, round((value - low) / (high - low) * (self.width - 1))))

    def row(self, pool: Interval, new: Interval) -> str:
        cells = [" "] * self.width
        for low, high, mark in ((new.low, new.high, "─"), (pool.low, pool.high, "━")):
            for at in range(self.column(low), self.column(high) + 1):
                cells[at] = mark
        cells[self.column(pool.mean)] = "●"
        return "".join(cells)

    def ruler(self) -> str:
        cells = ["─"] * self.width
        for tick in self.ticks:
            cells[self.column(tick)] = "┴"
        return "".join(cells)

    def numbers(self) -> str:
        cells = [" "] * (self.width + 2)
        for tick in self.ticks:
            text = f"{100 * tick:.0f}"
            start = max(0, self.column(tick) - len(text) // 2)
            cells[start : start + len(text)] = text
        return "".join(cells)


def columns(text: str) -> int:
    """How many columns a text takes in a terminal; Korean, for one, takes two for a syllable."""
    return sum(_columns_of(char) for char in cleaned(text))


def fitted(text: str, width: int) -> str:
    """A text cut or filled to so many columns."""
    text = cleaned(text)
    if columns(text) > width:
        kept = ""
        for char in text:
            if columns(kept) + _columns_of(char) > width - 1:
                break
            kept += char
        text = kept + "…"
    return text + " " * (width - columns(text))


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
