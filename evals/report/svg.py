"""Charts become part of the page: only known SVG gets through, in the page's own colours and fonts."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

#: Charts are drawn in these stand-ins; the page's style sheet says what they are, by day and by night.
INK, MUTED, GRID, ACCENT = "#000001", "#000002", "#000003", "#000004"
SERIES: Final = tuple(f"#0000{at:02x}" for at in range(16, 24))
_PAINTS = {INK: "ink", MUTED: "muted", GRID: "grid", ACCENT: "accent"} | {
    colour: f"series-{at}" for at, colour in enumerate(SERIES, start=1)
}

#: What the style sheet of pages makes of them by day.
_BY_DAY = {"ink": "#1b2330", "muted": "#647084", "grid": "#e4e8ee", "accent": "#2f6fd0"} | {
    f"series-{at}": colour
    for at, colour in enumerate(
        ("#2f6fd0", "#c75f1c", "#25805a", "#8457c4", "#c43d52", "#127f93", "#86632f", "#b5488b"), start=1
    )
}
_VARIABLE = re.compile(r"var\(--([\w-]+)\)")

_ELEMENTS = {"svg", "g", "path", "line", "rect", "text", "tspan"}
_ATTRIBUTES = {
    *("d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "viewBox"),
    *("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-miterlimit"),
    *("opacity", "fill-opacity", "stroke-opacity", "text-anchor", "font-size", "font-weight"),
}
_SAFE_VALUE = re.compile(r"[\w #.,%()+-]*")
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}(e-?\d+)?")


def inline(svg: str, label: str) -> str:
    """An SVG document as an element of an HTML page.

    Elements and attributes that charts have no need of are dropped: scripts, links and styles among them. Texts stay
    texts, in the fonts of the page.

    Args:
        svg: from the chart library.
        label: what the chart shows, for readers who do not see it.

    Returns:
        The element, escaped.
    """
    root = ElementTree.fromstring(svg)
    _reduce(root)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def standalone(element: str) -> str:
    """An element that `inline` made as a document of its own: by day, on white, with a font of its own."""
    drawn = _VARIABLE.sub(lambda found: _BY_DAY[found[1]], element)
    root = ElementTree.fromstring(drawn)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root.set("font-family", "Helvetica, Arial, 'Noto Sans KR', sans-serif")
    ground = ElementTree.Element("rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    root.insert(0, ground)
    return ElementTree.tostring(root, encoding="unicode")


def cleaned(text: object) -> str:
    """Text that XML and HTML can hold: without control characters, lone surrogates and turns of direction."""
    return _UNFIT.sub("\ufffd", str(text))


def _reduce(element: ElementTree.Element) -> None:
    """Keep what is known and seen, of an element and of all in it."""
    element.tag = _local(element.tag)
    attributes = {_local(name): value for name, value in element.items()}
    element.attrib.clear()
    if attributes.get("class") == "background" and not attributes.keys() & {"fill", "stroke"}:
        return
    for name, value in attributes.items():
        if name in _ATTRIBUTES and _SAFE_VALUE.fullmatch(value) and "url" not in value:
            element.set(name, _value(name, value))
    for child in list(element):
        hidden = child.get("display") == "none"
        _reduce(child)
        if hidden or child.tag not in _ELEMENTS or _is_empty(child):
            element.remove(child)


def _value(name: str, value: str) -> str:
    if name in ("fill", "stroke"):
        return f"var(--{_PAINTS[value]})" if value in _PAINTS else value
    return _LONG_NUMBER.sub(lambda found: f"{float(found.group()):.1f}", value)


def _is_empty(element: ElementTree.Element) -> bool:
    if element.tag == "g":
        return len(element) == 0
    return element.tag == "path" and not element.get("d")


def _local(name: str) -> str:
    return name.rpartition("}")[2]
