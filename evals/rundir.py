"""A run's folder and its configuration: what decides the result, and what guards `--resume`."""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from evals.balance import EQUAL
from evals.episode import SAMPLING, EpisodeSampler
from evals.learner import Learner
from evals.store import Store
from fewshot.core.differences import differences
from fewshot.core.errors import FewshotError, ResumeMismatch, StorageError
from fewshot.core.hashing import canonical_json, digest
from fewshot.core.paths import write_atomically
from fewshot.core.stored import checked

#: Under this name the store keeps the learner that the run is about; all others are baselines.
MAIN = "main"
#: Recorded with every run, but no reason to refuse `--resume`.
_UNGUARDED = ("versions", "begun_in")
_PACKAGES = ("fewshot", "numpy", "torch", "transformers", "sentence-transformers")


def new_run_dir(root: Path, task: str, learner: str) -> Path:
    """Make the folder `<utc>-<task>-<learner>-<8 hex digits>` below `root`, for its owner's eyes only.

    Raises:
        StorageError: it cannot be made.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = root / f"{stamp}-{folder_name(task, learner)}-{secrets.token_hex(4)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StorageError(f"cannot create {folder}: {error.strerror}; choose another place with --run-dir") from error
    return folder


def describe_run(
    learners: Mapping[str, Learner], sampler: EpisodeSampler, n_episodes: int, seed: int, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that decides the result of a run, and the versions of what computed it."""
    task = sampler.task
    described = {
        "task": {
            "name": task.name,
            "kind": task.info.kind,
            "language": task.info.language,
            "data_fingerprint": task.data_fingerprint,
            "card_fingerprint": task.card_fingerprint,
        },
        "episodes": {
            "sampling": SAMPLING,
            "count": n_episodes,
            "way": sampler.way,
            "shot": sampler.shot,
            "query": sampler.query,
            "seed": sampler.seed,
            "class_split": sampler.class_split,
            "part": sampler.part,
            "query_balance": sampler.query_balance,
        },
        "learners": {name: learner.describe() for name, learner in learners.items()},
        "transductive": {name: learner.transductive for name, learner in learners.items()},
        "seed": seed,
        "settings": dict(extra),
        "begun_in": str(Path.cwd()),
        "versions": versions(),
    }
    try:
        return json.loads(canonical_json(described))
    except (TypeError, ValueError) as error:
        raise FewshotError(f"the description of a learner or the settings of the run are not JSON: {error}") from error


class _Task(BaseModel):
    name: str
    kind: str
    language: str
    data_fingerprint: str
    card_fingerprint: str


class _Episodes(BaseModel):
    count: int
    way: int
    shot: int
    query: int
    seed: int
    class_split: str | None
    part: str
    query_balance: str = EQUAL


class _Settings(BaseModel):
    """Those that are read by others than the command that wrote them."""

    contestant: str | None = None
    baseline: bool = False
    until_ci: float | None = None


class _Run(BaseModel):
    """What `describe_run` says, as far as anyone reads it."""

    task: _Task
    episodes: _Episodes
    learners: dict[str, dict[str, Any]]
    transductive: dict[str, bool]
    seed: int
    settings: _Settings


def read_config(store: Store) -> dict[str, Any]:
    """The configuration of a stored run, of the shape that `describe_run` gives it.

    Raises:
        StorageError: it is of another shape.
    """
    return checked_config(store.config, store.path)


def checked_config(config: Any, origin: Path) -> dict[str, Any]:
    """The same, of a configuration that was read from somewhere else."""
    checked(_Run, config, origin)
    if MAIN not in config["learners"] or config["learners"].keys() - config["transductive"].keys():
        raise StorageError(f"{origin} is damaged: it names no learner {MAIN!r}, or does not say which are transductive")
    return config


def open_store(run_dir: Path, config: dict[str, Any], resume: bool) -> Store:
    """Begin the run in this folder, or go on with it if it has the same configuration.

    Raises:
        UsageError: there is a run already (or, to resume, none), or another process writes to it.
        ResumeMismatch: the configurations differ; the message says where.
        StorageError: the run cannot be stored or read.
    """
    if not resume:
        return Store.create(run_dir, config)
    store = Store.resume(run_dir)
    try:
        _refuse_differences(run_dir, store.config, config)
    except BaseException:
        store.close()
        raise
    return store


def _refuse_differences(run_dir: Path, stored: dict[str, Any], given: dict[str, Any]) -> None:
    before, after = ({key: value for key, value in c.items() if key not in _UNGUARDED} for c in (stored, given))
    if changed := differences(before, after):
        raise ResumeMismatch(
            f"{run_dir} was begun with another configuration:\n{changed}\n"
            "Resume with the stored one, or begin a new run"
        )


def write_copy(store: Store, result: dict[str, Any] | None) -> None:
    """Configuration and result for people; the store is what counts."""
    content = {"config": store.config, "result": result}
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    write_atomically(store.folder / "run.json", text + "\n")


def folder_name(*parts: str) -> str:
    """A name for a folder that says what these parts say in whatever script, safe on every file system."""
    return "-".join(_safe(part) or digest(part)[:8] for part in parts)


def _safe(part: str) -> str:
    """Letters and digits of a part, the rest as hyphens; at most 40 characters, and 80 bytes of a name's 255."""
    name = re.sub(r"[^\w.]+", "-", unicodedata.normalize("NFC", part).lower()).strip("-._")
    return name[:40].encode()[:80].decode(errors="ignore").rstrip("-._")


def versions() -> dict[str, str | None]:
    """Versions of the packages that decide a result; None where one is not installed."""
    return {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
