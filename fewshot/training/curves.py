"""The learning curve: as data (CSV) and as a picture (SVG)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from fewshot.core.paths import write_atomically
from fewshot.core.svg import Line, Panel, picture


@dataclass(frozen=True)
class Point:
    """One evaluation during training. Training figures are means over the tasks since the last one, None at step 0.

    Attributes:
        step: outer steps so far.
        loss, accuracy: on the queries of training tasks. Accuracies are None for regression.
        valid_loss, valid_accuracy: on the validation tasks.
        diverged: training tasks since the last point whose inner loop diverged; they count in no mean.
        parts: validation accuracy by condition, where there are several.
    """

    step: int
    loss: float | None
    accuracy: float | None
    valid_loss: float | None
    valid_accuracy: float | None
    diverged: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The point as one line of a table, each part in a column of its own."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "parts"} | {
            f"valid_accuracy_{name}": value for name, value in self.parts.items()
        }


def write_curve(folder: Path, points: Sequence[Point]) -> None:
    """Write `curve.csv` and `curve.svg` into a folder."""
    write_atomically(folder / "curve.csv", _csv(points))
    write_atomically(folder / "curve.svg", _svg(points))


def _csv(points: Sequence[Point]) -> str:
    text = io.StringIO()
    rows = [point.row() for point in points]
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


_TRAIN, _VALID = "#9aa5b1", "#1f6feb"


def _svg(points: Sequence[Point]) -> str:
    """Panels side by side: accuracy and loss over steps, training in grey, validation in blue; then every part."""
    parts = dict.fromkeys(name for point in points for name in point.parts)
    return picture(
        [
            _panel("accuracy", points, lambda point: (point.accuracy, point.valid_accuracy)),
            _panel("loss", points, lambda point: (point.loss, point.valid_loss)),
            *(_panel(f"accuracy, {name}", points, partial(_part, name=name)) for name in parts),
        ]
    )


def _part(point: Point, name: str) -> tuple[None, float | None]:
    return None, point.parts.get(name)


def _panel(title: str, points: Sequence[Point], read: Callable[[Point], tuple[float | None, float | None]]) -> Panel:
    lines = [
        Line(name, colour, [(each.step, value) for each in points if (value := read(each)[side]) is not None])
        for side, (name, colour) in enumerate((("training", _TRAIN), ("validation", _VALID)))
    ]
    return Panel(title, lines, (str(points[0].step), f"{points[-1].step} steps"))
