"""How figures are written."""

from __future__ import annotations

import pytest

from evals.wording import p_number, p_value, percent, points


@pytest.mark.parametrize(("share", "written"), [(0.0, "0.0"), (0.8531, "85.3"), (1.0, "100.0")])
def test_percent(share: float, written: str) -> None:
    assert percent(share) == written


@pytest.mark.parametrize(
    ("difference", "plain", "signed"),
    [(0.0312, "3.1", "+3.1"), (-0.0312, "-3.1", "-3.1"), (-0.0001, "0.0", "+0.0"), (-0.0, "0.0", "+0.0")],
)
def test_points(difference: float, plain: str, signed: str) -> None:
    assert (points(difference), points(difference, signed=True)) == (plain, signed)


@pytest.mark.parametrize(
    ("p", "number", "sentence"),
    [(0.0001, "< 0.001", "p < 0.001"), (0.0342, "0.034", "p = 0.034"), (1.0, "1.000", "p = 1.000")],
)
def test_p_values(p: float, number: str, sentence: str) -> None:
    assert (p_number(p), p_value(p)) == (number, sentence)
