"""The pages say what the code does: generated pages are current, code in the README runs, links lead somewhere."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def test_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_promise_is_kept_by_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    promises = importlib.import_module("promises")
    assert set(promises.keepers(ROOT / "tests")) == set(promises.PROMISES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_commands_in_the_readme_exist() -> None:
    known = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for page in PAGES[:2]:
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"^fewshot ((?:[a-z]+ )+)", text, flags=re.MULTILINE):
            assert f"\n## fewshot {' '.join(command.split()[:2])}\n" in known, command


@pytest.mark.models
@pytest.mark.parametrize("page", ["README.md", "docs/selectors.md", "docs/registry.md", "docs/images.md"])
def test_the_code_on_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})


@pytest.mark.models
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "docs" / "compare.ipynb").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "compare.ipynb", "exec"), names)


def test_the_study_in_the_readme_is_one(tmp_path: Path) -> None:
    from evals.comparison.contestants import contestants
    from evals.comparison.study import read_study

    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "study.yaml").write_text(block, encoding="utf-8")
    study = read_study(tmp_path / "study.yaml")
    assert {each.name for each in contestants(study.learner)} >= set(study.learner)
