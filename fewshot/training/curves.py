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


_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 420, 200, 44, 28, 32
_TRAIN, _VALID, _GREY = "#9aa5b1", "#1f6feb", "#57606a"


def _svg(points: Sequence[Point]) -> str:
    """Panels side by side: accuracy and loss over steps, training in grey, validation in blue; then every part."""
    panels = [
        _panel("accuracy", points, lambda point: (point.accuracy, point.valid_accuracy), 0),
        _panel("loss", points, lambda point: (point.loss, point.valid_loss), _WIDTH),
    ]
    for name in dict.fromkeys(name for point in points for name in point.parts):
        panels.append(_panel(f"accuracy, {name}", points, partial(_part, name=name), len(panels) * _WIDTH))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(panels) * _WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="{_GREY}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(panels)}</svg>\n'
    )


def _part(point: Point, name: str) -> tuple[None, float | None]:
    return None, point.parts.get(name)


def _panel(
    title: str, points: Sequence[Point], read: Callable[[Point], tuple[float | None, float | None]], x: int
) -> str:
    pairs = [read(point) for point in points]
    values = [value for pair in pairs for value in pair if value is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    height = high - low or 1.0
    last = points[-1].step or 1
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - 16

    def place(step: int, value: float) -> str:
        across = _LEFT + (right - _LEFT) * step / last
        return f"{across:.1f},{bottom - (bottom - _TOP) * (value - low) / height:.1f}"

    lines = []
    for side, (name, colour) in enumerate((("training", _TRAIN), ("validation", _VALID))):
        path = [
            place(point.step, value)
            for point, pair in zip(points, pairs, strict=True)
            if (value := pair[side]) is not None
        ]
        lines.append(f'<polyline points="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5"/>\n')
        lines.append(f'<text x="{right - 70 * (2 - side)}" y="16" fill="{colour}">{name}</text>\n')
    return (
        f'<g transform="translate({x} 0)">\n'
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#d0d7de"/>\n{"".join(lines)}'
        f'<text x="{_LEFT}" y="16" font-weight="bold">{title}</text>\n'
        f'<text x="{_LEFT - 4}" y="{_TOP + 4}" text-anchor="end">{high:.3g}</text>\n'
        f'<text x="{_LEFT - 4}" y="{bottom}" text-anchor="end">{low:.3g}</text>\n'
        f'<text x="{_LEFT}" y="{bottom + 16}">0</text>\n'
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{last} steps</text>\n</g>\n'
    )
