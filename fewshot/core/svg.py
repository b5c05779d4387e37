"""Small line charts as SVG, side by side, without a chart library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 420, 200, 44, 28, 32, 16
_GREY, _AXIS = "#57606a", "#d0d7de"
#: Width of a letter of a legend, and of the gap between two entries.
_LETTER, _GAP = 6, 12


@dataclass(frozen=True)
class Line:
    """A named line through points (x, y), or dots at them.

    Attributes:
        colour: such as "#1f6feb".
        dots: dots instead of a line.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """One chart: lines under a title.

    Attributes:
        ends: what stands at the left and right end of the x axis.
        heights: lowest and highest y; None takes those of the lines.
    """

    title: str
    lines: Sequence[Line]
    ends: tuple[str, str]
    heights: tuple[float, float] | None = None


def picture(panels: Sequence[Panel], *, columns: int | None = None, height: int = _HEIGHT) -> str:
    """An SVG document with the panels side by side; those without a point leave their place empty.

    Args:
        columns: panels in a row; None puts all in one.
        height: of a panel.
    """
    columns = columns or len(panels)
    rows = -(-len(panels) // columns)
    drawn = [_panel(each, _WIDTH * (at % columns), height * (at // columns), height) for at, each in enumerate(panels)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * _WIDTH} {rows * height}" '
        f'font-family="sans-serif" font-size="11" fill="{_GREY}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(drawn)}</svg>\n'
    )


def _panel(panel: Panel, x: int, y: int, height: int) -> str:
    points = [point for line in panel.lines for point in line.points]
    if not points:
        return ""
    (left, low), (right, high) = (tuple(map(edge, zip(*points, strict=True))) for edge in (min, max))
    low, high = panel.heights or (low, high)
    bottom, far = height - _BOTTOM, _WIDTH - _RIGHT

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = _LEFT + (far - _LEFT) * (point[0] - left) / (right - left or 1)
        return across, bottom - (bottom - _TOP) * (point[1] - low) / (high - low or 1)

    drawn = [_drawn(line, [place(point) for point in line.points]) for line in panel.lines]
    return (
        f'<g transform="translate({x} {y})">\n'
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{far}" fill="none" stroke="{_AXIS}"/>\n{"".join(drawn)}'
        f"{_legend(panel.lines, far)}"
        f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(panel.title)}</text>\n'
        f'<text x="{_LEFT - 4}" y="{_TOP + 4}" text-anchor="end">{high:.3g}</text>\n'
        f'<text x="{_LEFT - 4}" y="{bottom}" text-anchor="end">{low:.3g}</text>\n'
        f'<text x="{_LEFT}" y="{bottom + 16}">{escape(panel.ends[0])}</text>\n'
        f'<text x="{far}" y="{bottom + 16}" text-anchor="end">{escape(panel.ends[1])}</text>\n</g>\n'
    )


def _drawn(line: Line, places: Sequence[tuple[float, float]]) -> str:
    if line.dots:
        return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{line.colour}"/>\n' for x, y in places)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.5"/>\n'


def _legend(lines: Sequence[Line], far: int) -> str:
    """The names of the lines in their colours, from the right."""
    entries = []
    for line in reversed(lines):
        entries.append(f'<text x="{far}" y="16" text-anchor="end" fill="{line.colour}">{escape(line.name)}</text>\n')
        far -= _LETTER * len(line.name) + _GAP
    return "".join(reversed(entries))
