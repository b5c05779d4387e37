"""What a folder of runs holds: comparisons and single runs, newest first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evals.comparison.conduct import NAME, read_conducted
from evals.rundir import MAIN, checked_config
from evals.store import FILE_NAME
from fewshot.core.errors import FewshotError
from fewshot.core.stored import read_object


@dataclass(frozen=True)
class Listed:
    """One comparison or run.

    Attributes:
        link: where the server shows its report.
        state: how far it is, in words.
        updated: when something was last written, UTC.
    """

    name: str
    link: str
    what: str
    learners: str
    state: str
    updated: str


def list_runs(root: Path) -> list[Listed]:
    """The comparisons and runs in a folder, newest first. What cannot be read is listed as such."""
    found = sorted(((_modified(path), path) for path in _folders(root)), key=lambda item: item[0], reverse=True)
    return [_listed(path, when) for when, path in found]


def find_run(root: Path, name: str) -> Path | None:
    """The folder of a run with exactly this name, or None. Nothing outside of `root` has a name."""
    return next((path for path in _folders(root) if path.name == name), None)


def _folders(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        return
    for path in root.iterdir():
        with suppress(PermissionError):  # a folder of somebody else's
            is_run = (path / NAME).is_file() or (path / FILE_NAME).is_file()
            if is_run and path.is_dir() and not path.is_symlink():
                yield path


def _modified(path: Path) -> float:
    """When a run was last written: while it is, SQLite writes to the file beside it."""
    files = [path / NAME, *path.glob(f"{FILE_NAME}*"), *path.glob(f"*/{FILE_NAME}*")]
    times = [file.stat().st_mtime for file in files if file.is_file() and not file.name.endswith("-shm")]
    return max(times, default=0.0)


def _listed(path: Path, when: float) -> Listed:
    try:
        what, learners, state = _of_comparison(path) if (path / NAME).is_file() else _of_run(path)
    except (FewshotError, OSError) as error:
        what, learners, state = "", "", f"cannot be read: {error}"
    updated = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Listed(path.name, f"/runs/{quote(os.fsencode(path.name), safe='')}", what, learners, state, updated)


def _of_comparison(path: Path) -> tuple[str, str, str]:
    study = read_conducted(path).study
    runs = [_parsed(run.parent / "run.json") for run in path.glob(f"*/{FILE_NAME}")]
    finished = sum(bool(run.get("result")) for run in runs)
    what = f"{', '.join(study.task)}: {', '.join(map(str, study.shot))} shots"
    return what, ", ".join(study.learner), f"{finished} of {len(runs)} runs finished"


def _of_run(path: Path) -> tuple[str, str, str]:
    content = _parsed(path / "run.json")
    if not content:
        return "", "", "no description yet"
    config = checked_config(content.get("config"), path / "run.json")
    what = f"{config['task']['name']}: {config['episodes']['way']}-way {config['episodes']['shot']}-shot"
    learner = str(config["learners"][MAIN].get("name", ""))
    return what, learner, "finished" if content.get("result") else "not finished"


def _parsed(path: Path) -> dict[str, Any]:
    """The description of a run; nothing where there is none yet."""
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=4096)
def _read(path: Path, modified: int) -> dict[str, Any]:
    return read_object(path)
