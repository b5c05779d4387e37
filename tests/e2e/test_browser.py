"""Reports in a real browser: they look right to it, and no data in them becomes code."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evals.comparison import Comparison
from tests.evals.report.hostile import LABELS, hostile_comparison

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("altair", reason='pip install "fewshot[report]"')

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]


@dataclass
class Visit:
    """A page, what it asked for and what it complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return hostile_comparison(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def report(hostile: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from evals.report import write_report

    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(hostile, path)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # A sandbox of its own is not to be had in containers.
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def visiting(browser: Any, address: str, **options: Any) -> Iterator[Visit]:
    context = browser.new_context(**options)
    visit = Visit(context.new_page())
    visit.page.on("console", lambda message: visit.complaints.append(message.text))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("dialog", lambda dialog: visit.complaints.append(dialog.message))

    def pass_on(route: Any) -> None:
        visit.requests.append(route.request.url)
        route.continue_()

    context.route("**/*", pass_on)
    visit.page.goto(address)
    yield visit
    context.close()


def open_all(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_cleanly(browser: Any, report: Path, tmp_path: Path, scheme: str) -> None:
    with visiting(browser, report.as_uri(), color_scheme=scheme) as visit:
        open_all(visit.page)
        visit.page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
        assert (tmp_path / f"{scheme}.png").stat().st_size > 10_000
        assert visit.complaints == []
        assert visit.requests == [report.as_uri()]


def test_hostile_texts_add_nothing(browser: Any, report: Path) -> None:
    with visiting(browser, report.as_uri()) as visit:
        open_all(visit.page)
        for selector in ("tr", "td", "summary", "figure"):
            for element in visit.page.query_selector_all(selector)[:40]:
                element.hover(force=True, timeout=1000) if element.is_visible() else None
        assert visit.page.evaluate("window.hacked") is None
        assert len(visit.page.query_selector_all("script")) == 1
        assert visit.page.query_selector_all("img, iframe, object, embed, form, a[href^='javascript']") == []
        assert visit.requests == [report.as_uri()]
        assert visit.complaints == []


def test_what_got_in_could_not_run(browser: Any, report: Path) -> None:
    """The policy holds even where escaping would fail."""
    with visiting(browser, report.as_uri()) as visit:
        visit.page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.hacked = 1";
                document.body.append(script);
                const image = "<img src='http://127.0.0.1:9/x.png' onerror='window.hacked = 2'>";
                document.body.insertAdjacentHTML("beforeend", image);
            }"""
        )
        visit.page.wait_for_timeout(50)
        assert visit.page.evaluate("window.hacked") is None
        assert visit.requests == [report.as_uri()]
        assert all("Content Security Policy" in complaint for complaint in visit.complaints)
        assert len(visit.complaints) == 3


def test_it_reads_without_javascript(browser: Any, hostile: Comparison, report: Path) -> None:
    with visiting(browser, report.as_uri(), java_script_enabled=False) as visit:
        text = visit.page.inner_text("main")
        assert all(sentence.split(":")[0] in text for sentence in hostile.sentences("ko"))
        assert "새 텍스트에서" in text
        assert visit.page.locator("svg").first.is_visible()
        assert not visit.page.locator(".controls").is_visible()
        assert LABELS[0] in visit.page.content().replace("&lt;", "<").replace("&gt;", ">")


def test_sorting_and_filtering(browser: Any, report: Path) -> None:
    with visiting(browser, report.as_uri()) as visit:
        table = visit.page.locator("section.card > .scroll > table.sortable").first
        column = table.locator("tbody tr td:nth-child(2)")
        scores = [float(text) for text in column.all_inner_texts()]
        head = table.locator("th:nth-child(2) button")
        head.click()
        head.click()
        assert [float(text) for text in column.all_inner_texts()] == sorted(scores)
        rows = table.locator("tbody tr")
        visit.page.fill("input[type=search]", "TFIDF")
        assert [row.is_visible() for row in rows.all()].count(True) == 1
        visit.page.fill("input[type=search]", "")
        visit.page.uncheck("input[type=checkbox]")
        assert [row.is_visible() for row in rows.all()].count(True) == rows.count() - 4
        assert visit.complaints == []


def test_nothing_is_wider_than_a_small_screen(browser: Any, report: Path) -> None:
    with visiting(browser, report.as_uri(), viewport={"width": 390, "height": 800}) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_list_of_runs_keeps_up(browser: Any, hostile: Comparison, report: Path, tmp_path: Path) -> None:
    from evals.report.server import ReportServer

    assert hostile.folder is None
    source = next(iter(hostile.analyses[0].table.outcomes[0].sources.values())).folder.parent
    with ReportServer(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with visiting(browser, server.address) as visit:
            assert visit.page.locator("#empty").is_visible()
            shutil.copytree(source, tmp_path / "new <b>run")
            visit.page.locator("tbody tr a").wait_for(timeout=10_000)
            assert visit.page.locator("tbody tr a").inner_text() == "new <b>run"
            visit.page.locator("tbody tr a").click()
            visit.page.wait_for_url("**/runs/**")
            assert visit.page.locator("h2").first.inner_text() == "Summary"
            assert visit.page.evaluate("window.hacked") is None
            assert visit.complaints == []
            assert {request.split("/")[2] for request in visit.requests} == {f"127.0.0.1:{server.server_port}"}
        server.shutdown()
