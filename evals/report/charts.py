"""The charts of a report, by Vega-Lite, as SVG that needs no script. Accuracies are shown in percent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from evals.comparison.analysis import Analysis
from evals.comparison.tables import Outcome, Table
from evals.report import figures
from evals.report.figures import Rows, in_percent
from evals.report.svg import ACCENT, GRID, INK, MUTED, SERIES, cleaned, inline
from fewshot.core.errors import MissingExtra

_ROW, _WIDTH, _LABEL = 24, 360, 220


class Charts:
    """Draws charts in which a learner has the same colour everywhere.

    Args:
        analyses: all that will be drawn. Baselines are grey; the others have a colour each, best first.

    Attributes:
        colours: those of learners that are not baselines.

    Raises:
        MissingExtra: the chart library is not installed.
    """

    def __init__(self, analyses: Sequence[Analysis]) -> None:
        try:
            import altair
            import vl_convert
        except ImportError as error:
            raise MissingExtra("an HTML report", "report") from error
        self._alt, self._converter = altair, vl_convert
        self._datasets: dict[str, Rows] = {}
        standings = [s for analysis in reversed(analyses) for s in analysis.standings]
        names = dict.fromkeys(standing.learner for standing in standings if not standing.baseline)
        self.colours = {name: SERIES[at % len(SERIES)] for at, name in enumerate(names)}

    def unchecked(self) -> AbstractContextManager[None]:
        """For drawing many charts: without the library's checks of each part, which take a quarter of the time."""
        return self._alt.utils.schemapi.debug_mode(False)

    def colour(self, learner: str) -> str:
        """The colour of a learner."""
        return self.colours.get(learner, MUTED)

    def standings(self, analysis: Analysis) -> str:
        """Every learner's score with both intervals; beside it, how far the best is ahead of each."""
        rows = [
            {
                "learner": cleaned(s.learner),
                "colour": self.colour(s.learner),
                **in_percent(mean=s.accuracy.mean, low=s.accuracy.low, high=s.accuracy.high),
                **in_percent(new_low=s.new_texts.low, new_high=s.new_texts.high),
            }
            for s in analysis.standings
        ]
        order = [row["learner"] for row in rows]
        chance = None if analysis.table.chance is None else 100 * analysis.table.chance
        left = self._intervals(rows, order, f"{analysis.table.metric}, %", chance)
        differences = figures.differences(analysis, self.colour)
        if not differences:
            return self._draw(left, "Scores with 95 % intervals")
        title = "behind the best, points"
        right = self._intervals(differences, order, title, 0.0, shows_names=False)
        return self._draw(left | right, "Scores with 95 % intervals, and differences to the best")

    def shot_curves(self, analyses: Sequence[Analysis]) -> str:
        """Score against labelled texts per class, with bands for new texts.

        Args:
            analyses: of one task, at several shots.
        """
        alt = self._alt
        rows: Rows = [
            {
                "shot": analysis.table.shot,
                "learner": cleaned(s.learner),
                "colour": self.colour(s.learner),
                "baseline": s.baseline,
                **in_percent(mean=s.accuracy.mean, low=s.new_texts.low, high=s.new_texts.high),
            }
            for analysis in analyses
            for s in analysis.standings
        ]
        shots = sorted({row["shot"] for row in rows})
        across = alt.Scale(type="log", base=2, nice=False) if shots[0] > 0 else alt.Scale()
        up = self._stretch(rows, "low", "high", "mean")
        x = alt.X("shot:Q", title="labelled texts per class", scale=across, axis=alt.Axis(values=shots, format="d"))
        y = alt.Y("mean:Q", title=f"{analyses[0].table.metric}, %", scale=up)
        paint = alt.Color("colour:N", scale=None)
        learner = alt.Detail("learner:N")
        own = [row for row in rows if not row["baseline"]]
        band = (
            alt.Chart(self._data(own))
            .mark_area(opacity=0.13)
            .encode(x=x, y=alt.Y("low:Q", title="", scale=up), y2="high:Q", color=paint, detail=learner)
        )
        dash = alt.StrokeDash("baseline:N", scale=alt.Scale(domain=[False, True], range=[[1, 0], [4, 3]]), legend=None)
        line = (
            alt.Chart(self._data(rows))
            .mark_line(strokeWidth=2)
            .encode(x=x, y=y, color=paint, detail=learner, strokeDash=dash)
        )
        dots = alt.Chart(self._data(rows)).mark_point(filled=True, opacity=1, size=36).encode(x=x, y=y, color=paint)
        last = [row for row in rows if row["shot"] == shots[-1]]
        ends = figures.spread(last, 0.05 * (up.domain[1] - up.domain[0]))
        names = (
            alt.Chart(self._data(ends))
            .mark_text(align="left", dx=10, limit=260)
            .encode(x=x, y=alt.Y("label:Q", title=""), text="learner:N", color=paint)
        )
        chart = (band + line + dots + names).properties(width=720, height=320)
        return self._draw(chart, "Score against labelled texts per class")

    def pareto(self, analysis: Analysis, cost: str) -> str:
        """Score against cost. The line joins inductive learners that no other one beats at less cost.

        Args:
            cost: "seconds" or "usd", per query.
        """
        alt = self._alt
        rows: Rows = [
            {
                "learner": cleaned(s.learner),
                "colour": self.colour(s.learner),
                "cost": spent / s.n_queries,
                "apart": s.transductive,
                **in_percent(mean=s.accuracy.mean),
            }
            for s in analysis.standings
            if (spent := s.seconds if cost == "seconds" else s.usd)
        ]
        if not rows:
            return ""
        unit = "seconds" if cost == "seconds" else "USD"
        scale = alt.Scale(type="log", nice=False, padding=20)
        x = alt.X("cost:Q", title=f"{unit} per query", scale=scale, axis=alt.Axis(format="~g", tickCount=5, grid=False))
        up = self._stretch(rows, "mean")
        y = alt.Y("mean:Q", title=f"{analysis.table.metric}, %", scale=up)
        paint = alt.Color("colour:N", scale=None)
        steps = (
            alt.Chart(self._data(figures.front([row for row in rows if not row["apart"]])))
            .mark_line(interpolate="step-after", color=MUTED, strokeDash=[3, 3], strokeWidth=1)
            .encode(x=x, y=y)
        )
        dots = alt.Chart(self._data(rows)).mark_point(filled=True, opacity=1, size=60).encode(x=x, y=y, color=paint)
        names = (
            alt.Chart(self._data(figures.spread(rows, 0.06 * (up.domain[1] - up.domain[0]))))
            .mark_text(align="left", dx=6, dy=-8, limit=230)
            .encode(x=x, y=alt.Y("label:Q", title=""), text="learner:N", color=paint)
        )
        return self._draw((steps + dots + names).properties(width=720, height=260), f"Score against {unit} per query")

    def reliability(self, table: Table) -> str:
        """How often answers given with some probability are right."""
        alt = self._alt
        rows = [
            {"learner": cleaned(o.learner), "colour": self.colour(o.learner), **point}
            for o in self._of_interest(table)
            for point in figures.reliability(o)
        ]
        if not rows:
            return ""
        x = alt.X("confidence:Q", title="probability given, %", scale=alt.Scale(domain=[0, 100]))
        y = alt.Y("right:Q", title="right, %", scale=alt.Scale(domain=[0, 100]))
        paint = alt.Color("colour:N", scale=None)
        diagonal = self._data([{"confidence": 0, "right": 0}, {"confidence": 100, "right": 100}])
        ideal = alt.Chart(diagonal).mark_line(color=MUTED, strokeDash=[3, 3], strokeWidth=1).encode(x=x, y=y)
        base = alt.Chart(self._data(rows)).encode(x=x, y=y, color=paint, detail="learner:N")
        dots = base.mark_point(filled=True, opacity=1).encode(
            size=alt.Size("n:Q", scale=alt.Scale(range=[12, 110]), legend=None)
        )
        key = self._key(list(dict.fromkeys((row["learner"], row["colour"]) for row in rows)))
        chart = (ideal + base.mark_line(strokeWidth=1.5) + dots).properties(width=260, height=260)
        return self._draw(chart | key, "Reliability of the probabilities given")

    def label_bias(self, table: Table) -> str:
        """How often each label is given, against how often it is right. A dot is a label; 1 is no bias."""
        alt = self._alt
        rows = [row for o in self._of_interest(table) for row in figures.bias(table, o)]
        if not rows:
            return ""
        for row in rows:
            row["colour"] = self.colour(row["learner"])
            row["learner"] = cleaned(row["learner"])
        order = list(dict.fromkeys(row["learner"] for row in rows))
        x = alt.X("ratio:Q", title="given / right", axis=alt.Axis(tickCount=6))
        y = alt.Y("learner:N", sort=order, title=None, axis=alt.Axis(labelLimit=_LABEL))
        dots = (
            alt.Chart(self._data(rows))
            .mark_point(filled=True, size=34, opacity=0.55)
            .encode(x=x, y=y, color=alt.Color("colour:N", scale=None))
        )
        most = [row for row in rows if row["most"]]
        names = (
            alt.Chart(self._data(most))
            .mark_text(align="left", dx=7, limit=180, color=MUTED)
            .encode(x=x, y=y, text="label:N")
        )
        size = {"width": 560, "height": 26 * len(order)}
        return self._draw((self._line_at(1) + dots + names).properties(**size), "Label bias")

    def confusions(self, table: Table) -> str:
        """Rows are what is right, columns what was given, in percent of the row; the labels confused most."""
        alt = self._alt
        panels = []
        for outcome in self._of_interest(table):
            rows, order = figures.confusion(table, outcome)
            if not rows:
                continue
            x = alt.X("given:N", sort=order, title=None, axis=alt.Axis(labelAngle=-40, labelLimit=90))
            y = alt.Y("gold:N", sort=order, title=None, axis=alt.Axis(labelLimit=110))
            strength = alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 100], range=[0, 0.85]), legend=None)
            base = alt.Chart(self._data(rows)).encode(x=x, y=y)
            cells = base.mark_rect(color=ACCENT).encode(opacity=strength)
            shown = base.transform_filter("datum.share >= 0.5").mark_text(fontSize=10, color=INK)
            title = alt.Title(cleaned(outcome.learner)[:44], anchor="start", fontSize=12, color=INK)
            side = 27 * len(order)
            text = shown.encode(text=alt.Text("share:Q", format=".0f"))
            panels.append((cells + text).properties(width=side, height=side, title=title))
        return self._draw(alt.concat(*panels, columns=3, spacing=24), "Confusion matrices") if panels else ""

    def training(self, curve: Path) -> str:
        """Accuracy or loss during meta-training; empty where the file holds no figures."""
        alt = self._alt
        rows = figures.curve(curve)
        if not rows:
            return ""
        x = alt.X("step:Q", title="outer steps", axis=alt.Axis(format="d"))
        paint = alt.Color("side:N", scale=alt.Scale(domain=["training", "validation"], range=[MUTED, ACCENT]))
        paint.legend = alt.Legend(title=None, orient="top")
        base = alt.Chart().mark_line(strokeWidth=1.5, point=alt.OverlayMarkDef(size=14)).encode(x=x, color=paint)
        panels = [
            base.encode(y=alt.Y("value:Q", title=name, scale=alt.Scale(zero=False))).properties(
                data=self._data(found), width=300, height=150
            )
            for name in ("accuracy", "loss")
            if (found := [row for row in rows if row["figure"] == name])
        ]
        return self._draw(alt.hconcat(*panels), "Training")

    def _of_interest(self, table: Table) -> list[Outcome]:
        """The learners that are looked into, best first: not the baselines, unless there is nothing else."""
        order = list(self.colours)
        found = [outcome for outcome in table.outcomes if outcome.learner in self.colours]
        return sorted(found, key=lambda outcome: order.index(outcome.learner)) or list(table.outcomes)

    def _intervals(
        self, rows: Rows, order: list[str], title: str, line_at: float | None, *, shows_names: bool = True
    ) -> Any:
        """Dots with a thick interval (this pool of texts) and a thin one (new texts), and a row's `note`."""
        alt = self._alt
        axis = alt.Axis(labelLimit=_LABEL, labels=shows_names, ticks=False, domain=False)
        y = alt.Y("learner:N", sort=order, title=None, axis=axis, scale=alt.Scale(domain=order))
        paint = alt.Color("colour:N", scale=None)
        scale = self._stretch(rows, "low", "high", "new_low", "new_high", around=line_at)
        x = alt.X("mean:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))
        base = alt.Chart(self._data(rows)).encode(y=y, color=paint)
        thin = base.mark_rule(strokeWidth=1.2).encode(x=alt.X("new_low:Q", title=title), x2="new_high:Q")
        thick = base.mark_rule(strokeWidth=4, opacity=0.45).encode(x=alt.X("low:Q", title=title), x2="high:Q")
        dots = base.mark_point(filled=True, opacity=1, size=48).encode(x=x)
        lines = [] if line_at is None else [self._line_at(line_at)]
        noted = alt.Chart(self._data([row for row in rows if row.get("note")])).encode(x=x, y=y, text="note:N")
        notes = noted.mark_text(align="left", dx=8, color=MUTED)
        return alt.layer(*lines, thin, thick, dots, notes).properties(width=_WIDTH, height=_ROW * len(order))

    def _line_at(self, value: float) -> Any:
        rule = self._alt.Chart(self._data([{"at": value}])).mark_rule(color=MUTED, strokeDash=[3, 3])
        return rule.encode(x=self._alt.X("at:Q", title=""))

    def _key(self, learners: Sequence[tuple[str, str]]) -> Any:
        """Which colour is which learner."""
        alt = self._alt
        rows = [{"learner": name, "colour": colour, "at": at} for at, (name, colour) in enumerate(learners)]
        scale = alt.Scale(domain=[0, max(10, len(rows))], nice=False)
        y = alt.Y("at:Q", axis=None, scale=alt.Scale(domain=scale.domain, reverse=True))
        base = alt.Chart(self._data(rows)).encode(y=y, x=alt.value(8), color=alt.Color("colour:N", scale=None))
        dots, names = base.mark_point(filled=True, opacity=1, size=60), base.mark_text(align="left", dx=10, limit=240)
        return (dots + names.encode(text="learner:N")).properties(width=200, height=220)

    def _stretch(self, rows: Rows, *names: str, around: float | None = None) -> Any:
        """A scale in percent, from a little below these values and `around` to a little above them."""
        values = [row[name] for row in rows for name in names] + ([] if around is None else [around])
        low, high = 5 * math.floor(min(values) / 5 - 0.01), 5 * math.ceil(max(values) / 5 + 0.01)
        return self._alt.Scale(domain=[low if min(values) < 0 else max(0, low), min(100, high)], nice=False)

    def _data(self, rows: Rows) -> Any:
        """Rows by a name: charts are copied with every change, and rows need not be."""
        name = f"rows{len(self._datasets)}"
        self._datasets[name] = rows
        return self._alt.NamedData(name)

    def _draw(self, chart: Any, label: str) -> str:
        """The chart as an element of the page, in its colours."""
        text = {"labelColor": INK, "titleColor": MUTED, "titleFontWeight": "normal", "labelFontSize": 12}
        lines = {"gridColor": GRID, "domainColor": GRID, "tickColor": GRID, "tickSize": 4, "titlePadding": 8}
        finished = chart.configure(
            aria=False,
            background="transparent",
            padding={"left": 4, "right": 12, "top": 4, "bottom": 4},
            axis=self._alt.AxisConfig(**text, **lines, titleFontSize=12, labelPadding=5),
            legend=self._alt.LegendConfig(labelColor=INK, labelFontSize=12),
            text=self._alt.MarkConfig(fontSize=12),
            view=self._alt.ViewConfig(stroke=None),
            concat=self._alt.CompositionConfig(spacing=28),
        )
        spec = finished.to_dict(validate=False) | {"datasets": self._datasets}
        self._datasets = {}
        svg = self._converter.vegalite_to_svg(spec, allowed_base_urls=[])
        return inline(svg, label)
