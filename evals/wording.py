"""How figures are written in sentences and tables: percentages, points, p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evals.stats import Interval


def percent(share: float) -> str:
    """A share in percent, with one decimal and no sign: 0.8531 is `85.3`."""
    return f"{100 * share:.1f}"


def points(difference: float, *, signed: bool = False) -> str:
    """A difference of shares in points, with one decimal: 0.0312 is `3.1`, signed `+3.1`. Never `-0.0`."""
    rounded = round(100 * difference, 1) + 0.0
    return f"{rounded:+.1f}" if signed else f"{rounded:.1f}"


def lead(found: Interval, *, signed: bool = False) -> str:
    """One learner's lead over another in points, or `identical` where both scored the same on every query."""
    return "identical" if found.is_identical else points(found.mean, signed=signed)


def p_number(p: float) -> str:
    """A p-value for a column of them: `0.034`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_value(p: float) -> str:
    """A p-value for a sentence: `p = 0.034`, or `p < 0.001`."""
    return f"p {p_number(p)}" if p < 0.001 else f"p = {p_number(p)}"


def metric_name(metric: str) -> str:
    """A metric as the heading of a column: `span_f1` is `span F1`."""
    return metric.replace("_", " ").replace("f1", "F1")
