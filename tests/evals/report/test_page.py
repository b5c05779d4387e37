"""The page as a parser sees it: complete without a script, and no data in it is code."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evals.comparison import Comparison, compare
from evals.comparison.analysis import Verdict
from evals.comparison.document import Absent
from evals.learner import Context
from evals.report.html import cost, percent
from evals.report.page import render
from evals.types import Prediction, Problem, Usage
from tests.evals.comparison.toys import riddles
from tests.evals.fakes import FirstLabel, learner_of, task_of
from tests.evals.report.hostile import LABELS

pytest.importorskip("altair")
pytest.importorskip("vl_convert")


class Seen(HTMLParser):
    """Elements, their attributes and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


@pytest.fixture(scope="module")
def page(comparison: Comparison) -> str:
    return render(comparison)


@pytest.fixture(scope="module")
def hostile_page(hostile: Comparison) -> str:
    return render(hostile)


def test_it_says_what_was_found_in_both_languages(comparison: Comparison, page: str) -> None:
    text = Seen(page).text
    for sentence in (*comparison.sentences("en"), *comparison.sentences("ko")):
        assert sentence in text


def test_every_learner_stands_in_every_table(comparison: Comparison, page: str) -> None:
    rows = [attributes for tag, attributes in Seen(page).elements if tag == "tr" and "data-learner" in attributes]
    for standing in comparison.analyses[0].standings:
        assert sum(row["data-learner"] == standing.learner for row in rows) == len(comparison.analyses) + 1


def test_charts_are_there_without_a_script(page: str) -> None:
    seen = Seen(page)
    labels = [attributes.get("aria-label") for tag, attributes in seen.elements if tag == "svg"]
    assert labels.count("Score against labelled texts per class") == 1
    assert labels.count("Scores with 95 % intervals, and differences to the best") == 2
    assert labels.count("Confusion matrices") == 2
    assert "괜찮은 학습기" in re.findall(r"<text[^>]*>([^<]*)</text>", page)


def test_notes_come_before_the_sentences(comparison: Comparison) -> None:
    text = Seen(render(replace(comparison, unfinished="NOT FINISHED: a run is missing"))).text
    assert text.index("NOT FINISHED") < text.index(comparison.sentences()[0])


def test_a_comparison_without_a_winner(comparison: Comparison) -> None:
    analyses = tuple(replace(analysis, verdict=Verdict(None, ())) for analysis in comparison.analyses)
    seen = Seen(render(replace(comparison, analyses=analyses)))
    labels = [attributes.get("aria-label") for tag, attributes in seen.elements if tag == "svg"]
    assert labels.count("Scores with 95 % intervals, and differences to the best") == 2
    assert comparison.analyses[0].standings[0].learner in seen.text


def test_a_learner_with_fewer_episodes_says_how_many(comparison: Comparison) -> None:
    analysis = comparison.analyses[0]
    partial = replace(analysis.standings[-1], n_episodes=7)
    changed = replace(analysis, standings=(*analysis.standings[:-1], partial))
    text = Seen(render(replace(comparison, analyses=(changed,)))).text
    assert text.count(f"7 of {analysis.table.n_episodes} episodes") == 1


def test_absent_learners_are_listed_with_their_reasons(comparison: Comparison) -> None:
    absent = (Absent("maml", "skipped", "no training classes", "riddles"), Absent("icl", "failed", "<boom>", "riddles"))
    text = Seen(render(replace(comparison, absent=absent))).text
    assert "no training classes" in text
    assert "<boom>" in text


@pytest.mark.promise(35)
@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_only_our_script_and_style_run(which: str, request: pytest.FixtureRequest) -> None:
    page = request.getfixturevalue(which)
    seen = Seen(page)
    assert seen.count("script") == seen.count("style") == 1
    policy = next(a["content"] or "" for tag, a in seen.elements if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; ")
    for element in ("script", "style"):
        content = page.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


@pytest.mark.promise(35)
def test_no_data_becomes_an_element_or_an_address(hostile_page: str) -> None:
    seen = Seen(hostile_page)
    known = {*("html", "head", "meta", "link", "title", "style", "body", "header", "main", "footer", "nav", "section")}
    known |= {*("h1", "h2", "p", "a", "code", "div", "span", "label", "input", "details", "summary", "pre", "script")}
    known |= {*("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "dl", "dt", "dd")}
    known |= {*("svg", "g", "path", "line", "rect", "text")}
    assert {tag for tag, _ in seen.elements} <= known
    for _, attributes in seen.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "xlink:href")]
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))
    assert all(label in seen.text for label in LABELS)
    assert "\x1b" not in hostile_page
    assert "\u202e" not in hostile_page


def test_token_scores_are_shown_where_they_are_asked_for(hostile: Comparison, hostile_page: str) -> None:
    asked = Seen(render(hostile, token_scores=True))
    assert "its tokens, with log-probabilities" in asked.text
    assert asked.count("script") == 1
    assert "its tokens, with log-probabilities" not in hostile_page


def test_a_report_is_the_same_every_time(comparison: Comparison, page: str) -> None:
    assert render(comparison) == page


@pytest.mark.parametrize("kind", ["multilabel", "tagging", "generation"])
def test_other_kinds_of_tasks(tmp_path: Path, kind: str) -> None:
    found = compare(
        task_of(kind), {"mine": learner_of(kind)}, way=3, shot=1, query=2, episodes=5, folder=tmp_path / "c"
    )
    assert found.analyses[0].table.metric in Seen(render(found)).text


class Paid(FirstLabel):
    """Takes a cent for each problem."""

    name = "fake-paid"

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        for prediction in super().predict(problems, ctx):
            yield replace(prediction, usage={"predict": Usage(usd=0.01)})


def test_money_is_a_cost_where_it_is_spent(tmp_path: Path, page: str) -> None:
    found = compare(riddles(), {"paid": Paid()}, way=2, shot=1, query=1, episodes=4, folder=tmp_path / "c")
    assert 'aria-label="Score against USD per query"' in render(found)
    assert "USD per query" not in page


def test_a_single_episode(tmp_path: Path) -> None:
    found = compare(riddles(), {"mine": FirstLabel()}, way=2, shot=1, query=1, episodes=1, folder=tmp_path / "c")
    page = render(found)
    assert "nan" not in Seen(page).text.lower().split()


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (float("nan"), "–"), (0.1234, "12.3"), (1.0, "100.0")])
def test_percent(value: float | None, shown: str) -> None:
    assert percent(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(2e-5, "20 µs"), (0.0021, "2.1 ms"), (0.25, "250 ms"), (3.21, "3.2 s"), (120, "2.0 min")],
)
def test_cost(seconds: float, shown: str) -> None:
    assert cost(seconds) == shown


def test_identical_learners_are_called_identical(twins: Comparison) -> None:
    page = render(twins)
    pair = re.search(r'<tr data-learner="one same">(.*?)</tr>', page, re.DOTALL)
    assert pair is not None
    assert re.findall(r">([^<\n]+)</td>", pair[1])[:5] == ["one", "same", "identical", "–", "–"]
    assert re.search(r"<text[^>]*>identical</text>", page), "beside the dot in the chart"
