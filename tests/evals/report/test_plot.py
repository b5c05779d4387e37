"""Single charts: documents of their own, in the colours of the report, written in every format that they promise."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from evals.comparison import Comparison, compare
from evals.report.plot import draw
from evals.task import Task
from fewshot.core.errors import UsageError
from tests.evals.comparison.toys import Knowing, riddles

pytest.importorskip("altair")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    learners = {"sure": Knowing(90), "<b>wild</b>": Knowing(50)}
    folder = tmp_path_factory.mktemp("runs") / "one"
    return compare(riddles(), learners, way=2, shot=(1, 2), query=2, episodes=6, folder=folder)


@pytest.mark.parametrize("kind", ["forest", "curve", "pareto", "confusion"])
def test_a_plot_is_a_document_with_every_learner(found: Comparison, kind: str) -> None:
    svg = found.plot(kind)._repr_svg_()
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in svg
    assert "<b>" not in svg
    assert "sure" in svg


@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_a_plot_is_written_by_its_suffix(found: Comparison, tmp_path: Path, suffix: str, begins: bytes) -> None:
    found.plot("curve").save(tmp_path / f"x{suffix}")
    assert (tmp_path / f"x{suffix}").read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "pie"}, "unknown plot 'pie'"),
        ({"shot": 7}, "no results at 7 shots; there are 1, 2"),
        ({"task": "other"}, "choose one of"),
        ({"kind": "reliability"}, "hold nothing for a plot"),
    ],
)
def test_what_cannot_be_drawn_is_told(found: Comparison, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw(found, **options)


def test_another_suffix_is_refused(found: Comparison, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"written as \.svg, \.png, \.pdf"):
        found.plot().save(tmp_path / "x.gif")
    assert list(tmp_path.iterdir()) == []


def test_notebooks_show_tables_in_which_data_is_no_markup(found: Comparison) -> None:
    shown = found._repr_html_()
    assert "&lt;b&gt;wild&lt;/b&gt;" in shown
    assert "<b>" not in shown
    task: Task = riddles()
    assert task.labels[0].name in task._repr_html_()
    assert "<table>" in Knowing(50)._repr_html_()
