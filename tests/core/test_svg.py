"""Line charts as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from fewshot.core.svg import Line, Panel, picture

_SVG = "{http://www.w3.org/2000/svg}"


def test_panels_stand_in_rows_and_names_are_text() -> None:
    panels = [Panel(f"<{at}> & co", [Line("a<b", "#000000", [(0, 1), (2, 3)])], ("0", "2")) for at in range(3)]
    root = ElementTree.fromstring(picture(panels, columns=2))
    assert root.get("viewBox") == "0 0 840 400"
    places = [group.get("transform") for group in root.findall(f"{_SVG}g")]
    assert places == ["translate(0 0)", "translate(420 0)", "translate(0 200)"]
    assert {text.text for text in root.iter(f"{_SVG}text")} >= {"<0> & co", "a<b", "3", "1"}


def test_what_is_flat_single_or_empty_is_drawn() -> None:
    lines = [Line("flat", "#000000", [(0, 1), (1, 1)]), Line("dot", "#000000", [(0.5, 1)], dots=True)]
    text = picture([Panel("p", lines, ("", "")), Panel("empty", [Line("none", "#000000", [])], ("", ""))])
    root = ElementTree.fromstring(text)
    assert len(root.findall(f"{_SVG}g")) == 1
    assert "nan" not in text


def test_the_given_heights_are_the_edges_of_the_chart() -> None:
    line = Line("line", "#000000", [(0, 0), (1, 1)])
    (panel,) = ElementTree.fromstring(picture([Panel("p", [line], ("", ""), (-1, 1))])).findall(f"{_SVG}g")
    path = panel.find(f"{_SVG}polyline")
    assert path is not None
    assert path.get("points") == "44.0,98.0 404.0,28.0"
