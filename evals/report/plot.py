"""The charts of a report, one by one: for a notebook, a paper or a slide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from evals.report.charts import Charts
from evals.report.svg import standalone
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.paths import opened_atomically

if TYPE_CHECKING:
    from evals.comparison import Comparison

Kind = Literal["forest", "curve", "pareto", "reliability", "confusion"]
_SUFFIXES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Plot:
    """A chart as an SVG document; notebooks show it.

    Attributes:
        svg: the document.
    """

    svg: str

    def save(self, path: Path | str) -> None:
        """Write it as .svg, .png (twice the size, for sharp print) or .pdf.

        Raises:
            UsageError: another suffix.
            StorageError: it cannot be written.
        """
        import vl_convert

        path = Path(path)
        suffix = require_picture(path)
        content = {
            ".svg": lambda: self.svg.encode(),
            ".png": lambda: vl_convert.svg_to_png(self.svg, scale=2),
            ".pdf": lambda: vl_convert.svg_to_pdf(self.svg),
        }[suffix]()
        with opened_atomically(path) as file:
            file.write(content)

    def _repr_svg_(self) -> str:
        return self.svg


def require_picture(path: Path) -> str:
    """The suffix of a picture that can be written. Raises UsageError for another one."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(f"{path}: a plot is written as {', '.join(_SUFFIXES)}")
    return suffix


def draw(comparison: Comparison, kind: Kind = "forest", *, shot: int | None = None, task: str | None = None) -> Plot:
    """A chart of a comparison.

    Args:
        kind: "forest" (scores with intervals, and differences to the best), "curve" (score against shots), "pareto"
            (score against cost), "reliability" (of probabilities) or "confusion".
        shot: which table; None takes the most shots.
        task: which task; None takes the only one.

    Raises:
        UsageError: there is nothing to be drawn, in words.
        MissingExtra: the chart library is not installed.
    """
    if kind not in get_args(Kind):
        raise unknown_name("plot", kind, get_args(Kind))
    tables = [analysis for analysis in comparison.analyses if task in (None, analysis.table.task)]
    names = dict.fromkeys(analysis.table.task for analysis in tables)
    if len(names) != 1:
        there = ", ".join(dict.fromkeys(analysis.table.task for analysis in comparison.analyses))
        raise UsageError(f"one task is drawn at a time; choose one of {there}")
    charts = Charts(comparison.analyses)
    if kind == "curve":
        if len(tables) < 2:
            raise UsageError("a curve needs results at several shots; compare with --shot 1,5,10")
        return Plot(standalone(charts.shot_curves(tables)))
    chosen = [analysis for analysis in tables if shot in (None, analysis.table.shot)]
    if not chosen:
        raise UsageError(f"no results at {shot} shots; there are {', '.join(str(each.table.shot) for each in tables)}")
    analysis = max(chosen, key=lambda each: each.table.shot)
    drawn = {
        "forest": lambda: charts.standings(analysis),
        "pareto": lambda: charts.pareto(analysis, "seconds"),
        "reliability": lambda: charts.reliability(analysis.table),
        "confusion": lambda: charts.confusions(analysis.table),
    }[kind]()
    if not drawn:
        raise UsageError(f"these results hold nothing for a plot of kind {kind!r}")
    return Plot(standalone(drawn))
