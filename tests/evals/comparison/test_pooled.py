"""Figures over all items together, beside the mean over episodes, wherever a comparison is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evals.comparison import Comparison, compare
from evals.kinds import CountsItems, kind_named
from evals.report.tables import to_latex, to_markdown
from evals.results import summarise
from evals.store import Store
from fewshot.cli.compare import show_comparison
from tests.evals.fakes import KINDS, learner_of, task_of

HEADINGS = {"tagging": "entity-F1", "multilabel": "micro-F1"}


def compared(kind: str, folder: Path) -> Comparison:
    learner: Any = learner_of(kind)
    settings: dict[str, Any] = {"way": 3, "shot": 2, "query": 2, "episodes": 6}
    return compare(task_of(kind), {"mine": learner}, folder=folder, **settings)


@pytest.mark.promise(152)
@pytest.mark.parametrize("kind", HEADINGS)
def test_the_figure_is_that_of_the_run_with_an_interval_that_holds_it(kind: str, tmp_path: Path) -> None:
    """The run pools entities as seqeval does; `accuracy` stays the mean over episodes."""
    found = compared(kind, tmp_path / "c")
    (row,) = (each for each in found.document["learners"] if each.get("name") == "mine")
    (folder,) = (path.parent for path in (tmp_path / "c").glob("*mine*/*.sqlite"))
    with Store.read(folder) as store:
        result = summarise(store)
    name = HEADINGS[kind].lower().replace("-", "_")
    assert row["pooled"]["mean"] == pytest.approx(result[name])
    low, high = row["pooled"]["ci95"]
    assert 0 <= low <= row["pooled"]["mean"] <= high <= 1
    assert row["pooled"]["metric"] == HEADINGS[kind]
    assert row["accuracy"]["mean"] == pytest.approx(result["score"]["mean"])
    assert row["accuracy"]["mean"] != pytest.approx(row["pooled"]["mean"])
    (flat,) = (each for each in found.rows() if each["learner"] == "mine")
    assert (flat["pooled_f1"], flat["low_pooled_f1"], flat["high_pooled_f1"]) == (row["pooled"]["mean"], low, high)


@pytest.mark.parametrize("kind", KINDS)
def test_tables_have_its_column_where_the_kind_counts_items(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(kind, tmp_path / "c")
    show_comparison(found)
    shown = [capsys.readouterr().out, to_markdown(found), to_latex(found)]
    heading = HEADINGS.get(kind)
    assert isinstance(kind_named(kind), CountsItems) == (heading is not None)
    for text in shown:
        assert heading in text if heading else not any(name in text for name in HEADINGS.values())
    table = [line for line in to_markdown(found).splitlines() if line.startswith("| ")]
    assert len({line.count(" | ") for line in table}) == 1
    if heading is None:
        assert {standing.pooled for standing in found.analyses[0].standings} == {None}
