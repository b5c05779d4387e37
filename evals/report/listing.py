"""What a folder of runs holds: comparisons and single runs, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evals.comparison.conduct import NAME
from evals.rundir import MAIN
from evals.store import FILE_NAME


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
        is_run = (path / NAME).is_file() or (path / FILE_NAME).is_file()
        if is_run and path.is_dir() and not path.is_symlink():
            yield path


def _modified(path: Path) -> float:
    """When a run was last written: while it is, SQLite writes to the file beside it."""
    files = [path / NAME, *path.glob(f"{FILE_NAME}*"), *path.glob(f"*/{FILE_NAME}*")]
    times = [file.stat().st_mtime for file in files if file.is_file() and not file.name.endswith("-shm")]
    return max(times, default=0.0)


def _listed(path: Path, when: float) -> Listed:
    what, learners, state = _of_comparison(path) if (path / NAME).is_file() else _of_run(path)
    updated = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Listed(path.name, f"/runs/{quote(path.name, safe='')}", what, learners, state, updated)


def _of_comparison(path: Path) -> tuple[str, str, str]:
    study = _read(path / NAME).get("study") or {}
    runs = list(path.glob(f"*/{FILE_NAME}"))
    finished = sum(bool(_read(run.parent / "run.json").get("result")) for run in runs)
    what = f"{', '.join(study.get('task') or [])}: {', '.join(map(str, study.get('shot') or []))} shots"
    return what, ", ".join(study.get("learner") or []), f"{finished} of {len(runs)} runs finished"


def _of_run(path: Path) -> tuple[str, str, str]:
    content = _read(path / "run.json")
    if not content:
        return "", "", "no description yet"
    config = content["config"]
    what = f"{config['task']['name']}: {config['episodes']['way']}-way {config['episodes']['shot']}-shot"
    return what, config["learners"][MAIN].get("name", ""), "finished" if content.get("result") else "not finished"


def _read(path: Path) -> dict[str, Any]:
    """A JSON file; nothing where there is none, or half of one."""
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=4096)
def _parsed(path: Path, modified: int) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}
