"""The report: one HTML file that needs no network and no script, and lets no data become code."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any

from evals import wording
from evals.comparison import Comparison
from evals.comparison.analysis import Analysis
from evals.report.charts import Charts
from evals.report.drilldown import Drilldown
from evals.report.figures import training_curves
from evals.report.shown import ShownEpisode
from evals.report.svg import SERIES, cleaned

#: With `{script}` and `{style}` hashes: nothing is fetched, and no other script or style runs.
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
)


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


def assets(script: str) -> dict[str, str]:
    """What a page of this package is made of: `style`, `script` and the `policy` that allows these two alone."""
    style, code = _read("style.css"), _read(script)
    return {"style": style, "script": code, "policy": _POLICY.format(script=_hash(code), style=_hash(style))}


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


@cache
def template(name: str) -> Any:
    """A template of this package: what it is given is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("evals.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= {
        "percent": percent,
        "points": partial(wording.points, signed=True),
        "lead": partial(wording.lead, signed=True),
        "p": wording.p_number,
        "cost": cost,
        "usd": lambda value: "unknown" if value is None else f"{value:.4g}",
    }
    return environment.get_template(name)


def percent(value: float | None) -> str:
    """A share in percent, with one decimal; a dash for none."""
    return "–" if value is None or math.isnan(value) else wording.percent(value)


def cost(seconds: float) -> str:
    """Seconds in a readable unit."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _finalized(value: Any) -> Any:
    """Control characters of data do not reach the page; what is markup already is left alone."""
    from markupsafe import Markup

    return cleaned(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@cache
def _read(name: str) -> str:
    return resources.files("evals.report").joinpath(name).read_text(encoding="utf-8")
