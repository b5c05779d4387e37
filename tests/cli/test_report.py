"""`fewshot report` and `fewshot view`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.comparison import Comparison, compare
from tests.cli.conftest import Outcome
from tests.evals.comparison.toys import Knowing, riddles

Fewshot = Callable[..., Outcome]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("report") / "c"
    return compare(riddles(), {"=mine": Knowing(80)}, way=2, shot=[1, 2], query=1, episodes=6, folder=folder)


@pytest.mark.parametrize("suffix", [".html", ".md", ".csv", ".parquet", ".tex", ".json"])
def test_every_format(fewshot: Fewshot, comparison: Comparison, tmp_path: Path, suffix: str) -> None:
    done = fewshot("report", comparison.folder, "-o", tmp_path / f"r{suffix}")
    assert done.code == 0
    assert done.stdout.splitlines() == comparison.sentences()
    assert (tmp_path / f"r{suffix}").stat().st_size > 100


def test_several_runs_become_one_report(fewshot: Fewshot, comparison: Comparison, tmp_path: Path) -> None:
    assert comparison.folder is not None
    runs = sorted(path for path in comparison.folder.iterdir() if path.is_dir())
    done = fewshot("report", *runs, "-o", tmp_path / "r.md")
    assert done.stdout.splitlines() == comparison.sentences()


@pytest.mark.parametrize(("options", "cell"), [((), "'=mine"), (("--csv-raw",), "=mine")])
def test_formulas(fewshot: Fewshot, comparison: Comparison, tmp_path: Path, options: tuple[str], cell: str) -> None:
    fewshot("report", comparison.folder, "-o", tmp_path / "r.csv", *options)
    assert f",{cell}," in (tmp_path / "r.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("nowhere",), "holds no run"), (("nowhere", "-o", "r.pdf"), ".html, .md")],
)
def test_bad_requests(fewshot: Fewshot, tmp_path: Path, arguments: tuple[str], message: str) -> None:
    done = fewshot("report", *arguments)
    assert done.code == 2
    assert message in done.stderr


def test_view_of_no_folder(fewshot: Fewshot, tmp_path: Path) -> None:
    done = fewshot("view", "--run-dir", tmp_path / "none")
    assert done.code == 2
    assert "no such folder" in done.stderr


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_view_on_a_port_that_is_taken(fewshot: Fewshot, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = fewshot("view", "--run-dir", tmp_path, "--port", taken.getsockname()[1])
    assert done.code == 2
    assert "cannot be used" in done.stderr
