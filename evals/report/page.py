"""The report: one HTML file that needs no network and no script, and lets no data become code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evals.comparison import Comparison
from evals.comparison.analysis import Analysis
from evals.report.charts import Charts
from evals.report.drilldown import Drilldown
from evals.report.figures import training_curves
from evals.report.html import assets, template
from evals.report.shown import ShownEpisode
from evals.report.svg import SERIES


@dataclass(frozen=True)
class TableView:
    """One task, way and shot on the page; charts are SVG elements, or empty."""

    analysis: Analysis
    anchor: str
    standings: str
    pareto: tuple[str, ...]
    confusions: str
    reliability: str
    label_bias: str
    training: tuple[tuple[str, str], ...]
    episodes: tuple[ShownEpisode, ...]


@dataclass(frozen=True)
class TaskView:
    """The tables of one task, and its shot curves."""

    name: str
    curves: str
    tables: tuple[TableView, ...]


def render(comparison: Comparison, *, token_scores: bool = False, trust: bool = False) -> str:
    """The report of a comparison.

    Args:
        token_scores: run models again for the scores of a few labels' tokens, where they can be run here.
        trust: render prompts again also where the learner may do more than compute, and somebody else ran it.

    Raises:
        MissingExtra: the chart library is not installed.
        StorageError: a run is damaged.
    """
    charts = Charts(comparison.analyses)
    drilldown = Drilldown(comparison.study.get("task", ()), token_scores=token_scores, trust=trust)
    with charts.unchecked():
        tasks = list(_tasks(comparison, charts, drilldown))
    return template("page.html.j2").render(
        comparison=comparison,
        document=comparison.document,
        tasks=tasks,
        colours={name: SERIES.index(colour) + 1 for name, colour in charts.colours.items()},
        token_scores=token_scores,
        **assets("report.js"),
    )


def _tasks(comparison: Comparison, charts: Charts, drilldown: Drilldown) -> Iterator[TaskView]:
    grouped: dict[tuple[Any, ...], list[Analysis]] = {}
    for analysis in comparison.analyses:
        table = analysis.table
        grouped.setdefault((table.task, table.way, table.query, table.query_balance, table.part), []).append(analysis)
    for number, group in enumerate(grouped.values(), start=1):
        curves = charts.shot_curves(group) if len(group) > 1 else ""
        views = tuple(_table(analysis, f"t{number}-{at}", charts, drilldown) for at, analysis in enumerate(group, 1))
        yield TaskView(group[0].table.task, curves, views)


def _table(analysis: Analysis, anchor: str, charts: Charts, drilldown: Drilldown) -> TableView:
    table = analysis.table
    costs = ["seconds", *(["usd"] if any(s.usd != 0 for s in analysis.standings) else [])]
    labelled = bool(table.labels) and bool((table.gold >= 0).any())
    return TableView(
        analysis=analysis,
        anchor=anchor,
        standings=charts.standings(analysis),
        pareto=tuple(filter(None, (charts.pareto(analysis, cost) for cost in costs))),
        confusions=charts.confusions(table) if labelled else "",
        reliability=charts.reliability(table),
        label_bias=charts.label_bias(table) if labelled else "",
        training=tuple((name, charts.training(path)) for name, path in training_curves(analysis).items()),
        episodes=tuple(drilldown.episodes(analysis)),
    )
