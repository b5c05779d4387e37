from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fewshot.core.errors import UsageError
from fewshot.training.curves import Point, write_curve
from fewshot.training.schedule import rate, warmed_up

CURVES = {
    "classification": [
        Point(0, None, None, 1.1, 0.3),
        Point(50, 0.8, 0.6, 0.7, 0.7, 2),
        Point(100, 0.5, 0.8, 0.6, 0.8),
    ],
    "regression": [Point(0, None, None, 4.0, None), Point(10, 2.0, None, 1.0, None)],
    "several conditions": [
        Point(0, None, None, None, 0.5, parts={"own words": 0.6, "swapped": 0.4}),
        Point(10, 1.0, 0.7, None, 0.7, parts={"own words": 0.7, "swapped": 0.7}),
    ],
    "a single point": [Point(0, None, None, 1.0, 0.5)],
    "everything diverged": [Point(0, None, None, None, 0.0), Point(10, None, None, None, 0.0, 160)],
}


@pytest.mark.parametrize("points", CURVES.values(), ids=CURVES.keys())
def test_the_curve_is_written_as_data_and_as_a_picture(tmp_path: Path, points: list[Point]) -> None:
    write_curve(tmp_path, points)
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [point.step for point in points]
    assert [row["valid_loss"] for row in rows] == ["" if p.valid_loss is None else str(p.valid_loss) for p in points]
    picture = ElementTree.parse(tmp_path / "curve.svg").getroot()
    lines = list(picture.iter("{http://www.w3.org/2000/svg}polyline"))
    assert lines
    assert "nan" not in (tmp_path / "curve.svg").read_text()


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [1, 1, 1]), ("linear", [1, 0.5, 0.1]), ("cosine", [1, 0.5, 0.0245])],
)
def test_schedules(schedule, expected: list[float]) -> None:
    assert [rate(step, 10, schedule) for step in (0, 5, 9)] == pytest.approx(expected, abs=1e-4)


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown schedule"):
        rate(0, 10, "steps")  # type: ignore[arg-type]


def test_a_column_and_a_panel_per_condition(tmp_path: Path) -> None:
    write_curve(tmp_path, CURVES["several conditions"])
    with (tmp_path / "curve.csv").open() as file:
        assert [row["valid_accuracy_swapped"] for row in csv.DictReader(file)] == ["0.4", "0.7"]
    assert "accuracy, swapped" in (tmp_path / "curve.svg").read_text()


def test_warm_up_rises_to_one_and_the_schedule_follows() -> None:
    factors = [warmed_up(step, 10, 4, "linear") for step in range(10)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert warmed_up(0, 1, 50, "cosine") == 1
