"""Runs that are resumed elsewhere, or were moved, and reports over data that changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ROWS = "text,label\ngood,a\nfine,a\nlovely,a\nbad,b\nawful,b\ndreadful,b\n"
FEW = ("--way", "2", "--shot", "1", "--query", "1", "-n", "3")
BEGIN = {
    "classic run": ("classic", "run", "-a", "tfidf", "-t"),
    "icl run": ("icl", "run", "-m", "ko-mini", "-t"),
    "compare": ("compare", "-l", "tfidf", "-t"),
}


@pytest.fixture(params=BEGIN)
def begun(fewshot: Callable, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run whose data was named by a relative path, and the command that resumes it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("rows.csv").write_text(ROWS)
    done = fewshot(*BEGIN[request.param], "rows.csv", *FEW, "--run-dir", "runs")
    assert done.code == 0, done.stderr
    (run,) = Path("runs").iterdir()
    return run


def _resume(fewshot: Callable, run: Path, *more: object):
    verb = next(verb for verb in BEGIN if f"-{verb.split()[0].replace('classic', 'tfidf')}-" in run.name)
    return fewshot(*verb.split(), "--resume", run, *more)


@pytest.mark.promise(78)
def test_a_run_goes_on_from_any_folder(
    fewshot: Callable, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = _resume(fewshot, Path("../work") / begun, "-o", "result.json")
    assert done.code == 0, done.stderr
    assert Path.cwd() == tmp_path / "elsewhere"
    assert json.loads(Path("result.json").read_text())
    (tmp_path / "work" / "rows.csv").write_text(ROWS.replace("lovely", "changed"))
    changed = _resume(fewshot, tmp_path / "work" / begun)
    assert (changed.code, "fingerprint" in changed.stderr) == (2, True) or "compare" in begun.name


@pytest.mark.promise(78)
def test_what_was_moved_as_a_whole_goes_on(
    fewshot: Callable, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    done = _resume(fewshot, begun)
    assert done.code == 0, done.stderr


@pytest.mark.promise(79)
@pytest.mark.parametrize("suffix", [".md", ".tex", ".json", ".csv", ".html"])
def test_two_versions_of_a_task_are_told_apart(
    fewshot: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for version, content in {"a": ROWS, "b": f"{ROWS}great,a\nugly,b\n"}.items():
        Path(version).mkdir()
        Path(version, "mood.csv").write_text(content)
        assert (
            fewshot("classic", "run", "-a", "tfidf", "-t", f"{version}/mood.csv", *FEW, "--run-dir", "runs").code == 0
        )
    done = fewshot("report", *sorted(Path("runs").iterdir()), "-o", f"report{suffix}")
    assert done.code == 0, done.stderr
    sentences = done.stdout.splitlines()
    assert len(sentences) == len(set(sentences)) == 2
    written = Path(f"report{suffix}").read_text()
    names = {line.split(",")[0] for line in sentences}
    assert len(names) == 2
    assert all(name.split("(")[1].split(")")[0] in written for name in names)
