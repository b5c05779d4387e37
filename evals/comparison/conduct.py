"""Conducting a study: every learner on every series of episodes, one run each, none in another's way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from evals.comparison.contestants import Contestant, why_left_out
from evals.comparison.document import Absent
from evals.comparison.study import Study
from evals.engines import spread
from evals.episode import EpisodeSampler
from evals.leaks import refuse_leaks
from evals.learner import Context, Learner, MetaLearner, ignore, without_repeats
from evals.metatrain import LEARNER_FOLDER, ensure_trained
from evals.rundir import folder_name
from evals.runner import Progress, run
from evals.store import FILE_NAME
from evals.task import Task
from fewshot.core.consent import remember
from fewshot.core.differences import differences
from fewshot.core.errors import BudgetReached, NotTrusted, ResumeMismatch, StorageError, UsageError
from fewshot.core.hashing import digest
from fewshot.core.locks import FolderLock
from fewshot.core.paths import write_atomically
from fewshot.core.stored import parsed, read_object

#: File in the folder of a comparison: the study, and which learners have no result.
NAME = "comparison.json"


@dataclass(frozen=True)
class Job:
    """One contestant on one series of episodes."""

    contestant: Contestant
    sampler: EpisodeSampler

    @property
    def folder(self) -> str:
        """Name of its run's folder within that of the comparison."""
        sampler = self.sampler
        place = [sampler.task.name, sampler.class_split or "all", f"{sampler.way}way", f"{sampler.shot}shot"]
        series = [sampler.task.data_fingerprint, sampler.part, sampler.query, sampler.query_balance, sampler.seed]
        name = self.contestant.name
        return f"{folder_name(*place, name)}-{digest([*place, *series, name])[:8]}"

    @property
    def place(self) -> dict[str, Any]:
        """Task, class split, seed and shot."""
        sampler = self.sampler
        return {
            "task": sampler.task.name,
            "class_split": sampler.class_split,
            "seed": sampler.seed,
            "shot": sampler.shot,
        }


@dataclass(frozen=True)
class Plan:
    """What will be done, and what cannot be and why. `folders` are those of all shards' jobs."""

    study: Study
    jobs: tuple[Job, ...]
    absent: tuple[Absent, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A job that ended: well, or with an error."""

    job: Job
    number: int
    total: int
    error: str | None


def make_plan(
    study: Study,
    contestants: Sequence[Contestant],
    tasks: Mapping[str, Task],
    shard: tuple[int, int] = (1, 1),
) -> Plan:
    """The jobs of a study and the contestants that are left out.

    Args:
        tasks: by the names that the study uses.
        shard: (i, n): every n-th job, beginning with the i-th, counted from 1.

    Raises:
        UsageError: an unknown parameter of a learner, data that cannot fill an episode, or a learner that was trained
            on what it would be tested on.
    """
    one, of = shard
    if not 1 <= one <= of:
        raise UsageError(f"--shard {one}/{of}: write i/n, with i from 1 to n")
    called = [tasks[name].name for name in study.task]
    if doubled := {name for name in called if called.count(name) > 1}:
        raise UsageError(f"several tasks are called {', '.join(sorted(doubled))}; give their files different names")
    jobs: list[Job] = []
    absent: list[Absent] = []
    for name in study.task:
        reasons = {c.name: why_left_out(c, tasks[name], study) for c in contestants}
        absent += [Absent(who, "skipped", why, tasks[name].name) for who, why in reasons.items() if why is not None]
        usable = [contestant for contestant in contestants if reasons[contestant.name] is None]
        built = [contestant.build(study.seed[0]) for contestant in usable]
        for sampler in _samplers(study, tasks[name]):
            refuse_leaks(built, sampler)
            jobs += [Job(contestant, sampler) for contestant in usable]
    named = [contestant for contestant in contestants if not contestant.baseline]
    asked = {task.info.kind for task in tasks.values()}
    if not jobs or (named and not any(contestant.answers(kind) for contestant in named for kind in asked)):
        reasons = dict.fromkeys(f"{each.learner}: {each.reason}" for each in absent)
        raise UsageError(f"no learner can take part: {'; '.join(reasons)}")
    return Plan(study, tuple(jobs[one - 1 :: of]), tuple(absent), tuple(job.folder for job in jobs))


def _samplers(study: Study, task: Task) -> list[EpisodeSampler]:
    return [
        EpisodeSampler.of(task, study.way, shot, study.query, seed, class_split, study.part, study.query_balance)
        for class_split in study.class_split or (None,)
        for seed in study.seed
        for shot in study.shot
    ]


def conduct(
    plan: Plan,
    folder: Path,
    ctx: Context,
    *,
    load: Callable[[str], Task],
    engine: str = "local",
    on_progress: Callable[[Job, Progress], None] = ignore,
    on_step: Callable[[Step], None] = ignore,
) -> None:
    """Carry out a plan. Jobs that are done are not repeated. A learner that raises is noted, and the others go on.

    Args:
        folder: where runs are kept; one that holds the same study is continued.
        load: gives the tasks that a meta-learner wants to be trained on.
        engine: spec of the engine that answers: "local", or "ray" for a cluster.
        on_progress: called after each episode; on_step: after each job.

    Raises:
        ResumeMismatch: the folder holds another study.
        UsageError: another process conducts a study in the folder.
        BudgetReached: a limit of the context; the comparison can be resumed.
        NotTrusted: a learner in the folder was trained with what would do more than compute.
        StorageError: the disk is full, or a run is damaged.
        KeyboardInterrupt: the context was cancelled; the comparison can be resumed.
    """
    advice = "wait until it ends, or take another --run-dir"
    with FolderLock(folder, "comparison.lock", doing="written", advice=advice):
        told_once = replace(ctx, notify=without_repeats(ctx.notify))
        _conduct(plan, folder, told_once, load, engine, on_progress, on_step)


def _conduct(
    plan: Plan,
    folder: Path,
    ctx: Context,
    load: Callable[[str], Task],
    engine: str,
    on_progress: Callable[[Job, Progress], None],
    on_step: Callable[[Step], None],
) -> None:
    absent = list(plan.absent)
    if (folder / NAME).is_file():
        _refuse_other_study(folder, plan.study)
    _write(folder, plan, absent)
    remember(plan.study.learner, folder)
    kept: dict[tuple[str, int], Learner] = {}
    for number, job in enumerate(plan.jobs, start=1):
        error = None
        try:
            learner = _learner_for(job, kept)
            _carry_out(job, learner, folder / job.folder, plan.study, ctx, load, engine, on_progress)
        except (BudgetReached, NotTrusted, StorageError):
            raise
        except Exception as raised:  # noqa: BLE001 - a learner may raise anything, and the others are to go on
            error = f"{type(raised).__name__}: {raised}"
            absent.append(Absent(job.contestant.name, "failed", error, **job.place))
            _write(folder, plan, absent)
        on_step(Step(job, number, len(plan.jobs), error))


def _learner_for(job: Job, kept: dict[tuple[str, int], Learner]) -> Learner:
    """A new learner where it can be trained, whoever wrote it: what it learned from the training classes of one class
    split must not meet another one, where they are test classes. The others keep their models for the next job."""
    key = job.contestant.name, job.sampler.seed
    if key in kept:
        return kept[key]
    learner = job.contestant.build(job.sampler.seed)
    if not isinstance(learner, MetaLearner):
        kept[key] = learner
    return learner


def _carry_out(
    job: Job,
    learner: Learner,
    folder: Path,
    study: Study,
    ctx: Context,
    load: Callable[[str], Task],
    engine: str,
    on_progress: Callable[[Job, Progress], None],
) -> None:
    seed, trained = job.sampler.seed, folder / LEARNER_FOLDER
    ctx = replace(ctx, seed=seed)
    learner = ensure_trained(learner, job.sampler, ctx, load, trained)
    build = partial(job.contestant.build, seed)
    run(
        spread(learner, build, engine, trained if trained.is_dir() else None),
        job.sampler,
        study.episodes,
        run_dir=folder,
        ctx=ctx,
        config={"contestant": job.contestant.name, "baseline": job.contestant.baseline, **study.reading},
        until_ci=study.until_ci,
        forgiving=True,
        resume=(folder / FILE_NAME).is_file(),
        on_progress=lambda progress: on_progress(job, progress),
    )


def _write(folder: Path, plan: Plan, absent: Sequence[Absent]) -> None:
    content = {
        "study": plan.study.model_dump(mode="json"),
        "sha256": plan.study.sha256,
        "folders": plan.folders,
        "absent": [asdict(missing) for missing in absent],
        "begun_in": str(Path.cwd()),
    }
    write_atomically(folder / NAME, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


@dataclass(frozen=True)
class Conducted:
    """What a comparison's folder says of itself: the study, the learners without a result, the folders of its runs.

    `begun_in` is the folder that its relative paths start from, where it is known.
    """

    study: Study
    absent: tuple[Absent, ...]
    folders: tuple[str, ...]
    begun_in: str | None = None


def read_conducted(folder: Path) -> Conducted:
    """What a comparison's folder says of itself.

    Raises:
        UsageError: the folder holds no comparison.
        StorageError: its file is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        raise UsageError(f"{folder} holds no comparison: there is no {NAME} in it")
    return parsed(Conducted, read_object(path), path)


def _refuse_other_study(folder: Path, study: Study) -> None:
    stored = read_conducted(folder).study
    if changed := differences(stored.model_dump(mode="json"), study.model_dump(mode="json")):
        raise ResumeMismatch(
            f"{folder} holds another study:\n{changed}\nResume it with its own options, or begin a new one"
        )
