"""What gets through from a chart to the page, and what does not."""

from __future__ import annotations

import pytest

from evals.report.svg import INK, cleaned, inline

_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def drawn(content: str) -> str:
    return inline(f'<svg {_NAMESPACES} width="10" viewBox="0 0 1 1">{content}</svg>', "a <chart>")


@pytest.mark.parametrize(
    "content",
    [
        "<script>alert(1)</script>",
        '<g><a xlink:href="javascript:alert(1)"><text>x</text></a></g>',
        '<image href="https://evil.example/x.png"/>',
        "<style>@import url(https://evil.example)</style>",
        "<foreignObject><b xmlns='http://www.w3.org/1999/xhtml'>x</b></foreignObject>",
        '<use href="#other"/>',
        '<path d="" fill="red"/>',
        '<path d="M0,0" fill="red" display="none"/>',
    ],
)
def test_unknown_and_unseen_elements_are_dropped(content: str) -> None:
    assert drawn(content) == '<svg width="10" viewBox="0 0 1 1" role="img" aria-label="a &lt;chart&gt;" />'


@pytest.mark.parametrize(
    "attribute", ['onload="alert(1)"', 'style="fill: url(x)"', 'fill="url(https://evil.example)"', 'class="x"']
)
def test_unknown_attributes_are_dropped(attribute: str) -> None:
    assert '<rect width="1" />' in drawn(f'<rect width="1" {attribute}/>')


def test_texts_stay_texts() -> None:
    assert '<text x="1">한국어 &lt;b&gt; &amp;</text>' in drawn('<text x="1">한국어 &lt;b&gt; &amp;</text>')


def test_stand_ins_become_the_colours_of_the_page() -> None:
    assert 'fill="var(--ink)"' in drawn(f'<rect fill="{INK}"/>')


def test_numbers_are_shortened() -> None:
    assert 'd="M1.2,3L10,0.5"' in drawn('<path fill="red" d="M1.23456,3L10,0.45678"/>')


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\u202e", "\ud800", "\ufffe"])
def test_what_no_page_can_hold_is_replaced(text: str) -> None:
    assert cleaned(f"a{text}b") == "a\ufffdb"
