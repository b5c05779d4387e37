"""Packages of ours whose names others use, too: who owns the files is told, and by whom they were replaced."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fewshot
from fewshot.core.ownership import PACKAGES

HOME = Path(fewshot.__file__).resolve().parents[1]
pytestmark = pytest.mark.promise(73)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages with our code, as a wheel would have put it there: with a record of its files."""
    site = tmp_path / "site"
    site.mkdir()
    for name in PACKAGES:
        shutil.copytree(HOME / name, site / name, ignore=shutil.ignore_patterns("*.safetensors"))
    lines = []
    for path in site.rglob("*.py"):
        summed = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        lines.append(f"{path.relative_to(site).as_posix()},sha256={summed},{path.stat().st_size}")
    install(site, "fewshot", "9.9", lines)
    return site


def install(site: Path, name: str, version: str, record: list[str]) -> None:
    """Write the metadata of a distribution."""
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "RECORD").write_text("\n".join(record))


def call(site: Path, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`fewshot ARGS` with the packages of `site` alone before those of the interpreter."""
    start = f"import sys; sys.path.insert(0, {str(site)!r}); sys.argv = ['fewshot', *{args!r}]"
    code = f"{start}; from fewshot.cli import main; main()"
    environment = {**os.environ, "FEWSHOT_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=cwd or site, env=environment
    )


def test_a_whole_installation_has_no_fault(site: Path) -> None:
    done = call(site, "doctor", "--json")
    assert "belongs to" not in done.stdout
    assert '"package evals",\n    "ok": true' in done.stdout


@pytest.mark.parametrize(
    ("written", "files"),
    [
        pytest.param(
            {"evals": "from .api import nothing"}, ["evals/__init__.py", "evals/api.py"], id="one package replaced"
        ),
        pytest.param({}, ["evals/metrics.py"], id="one file overlapping"),
        pytest.param(
            {"icl": "", "classic": "raise ImportError('no')", "prompts": "x = 1"},
            ["icl/__init__.py", "classic/__init__.py", "prompts/__init__.py"],
            id="all others replaced",
        ),
    ],
)
def test_doctor_names_the_distribution_that_owns_our_files(
    site: Path, written: dict[str, str], files: list[str]
) -> None:
    packages = list(dict.fromkeys(file.partition("/")[0] for file in files))
    for package, text in written.items():
        (site / package / "__init__.py").write_text(text)
    for package in packages:
        record = [f"{file},,10" for file in files if file.startswith(f"{package}/")]
        install(site, f"{package}-of-others", "3.0.1", record)
    done = call(site, "doctor")
    assert done.returncode == 1
    assert done.stderr == f"error: broken: {', '.join(f'package {package}' for package in packages)}\n"
    told = " ".join(done.stdout.split())
    assert told.count("3.0.1") == told.count("pip uninstall") == len(packages)


@pytest.mark.parametrize("args", [["classic", "run", "-a", "nn"], ["tasks", "ls"]])
def test_a_command_that_finds_a_strangers_package_says_so_in_one_line(site: Path, args: list[str]) -> None:
    (site / "evals" / "__init__.py").write_text("from .api import CompletionFn")
    install(site, "evals", "3.0.1", ["evals/__init__.py,,10", "evals/api.py,,10"])
    done = call(site, *args)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: the package 'evals' here belongs to the distribution 'evals 3.0.1', not to fewshot: "
        "pip uninstall evals and install fewshot again\n"
    )


def test_what_an_uninstalled_stranger_took_along_is_missed(site: Path) -> None:
    (site / "evals" / "metrics.py").unlink()
    done = call(site, "classic", "run", "-a", "nn", "-n", "2")
    assert done.returncode == 1
    assert "the package 'evals' of fewshot is damaged (1 of its files" in done.stderr
    assert "install fewshot again" in done.stderr


@pytest.mark.parametrize("package", [name for name in PACKAGES if name != "fewshot"])
def test_a_folder_that_hides_a_package_is_named(package: str, tmp_path: Path) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from fewshot.core.ownership import faults; print(faults())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert f"the package '{package}' in {tmp_path / package} hides that of fewshot" in done.stdout
