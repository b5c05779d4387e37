"""One learner and the baselines on the same episodes: what `icl run` and later commands share."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from evals.balance import EQUAL, in_words
from evals.episode import QUERIES, EpisodeSampler
from evals.kinds import Kind, kind_named
from evals.learner import Context, Estimate, Learner, MetaLearner, for_task
from evals.relevance import answered_kinds
from evals.rundir import MAIN
from evals.runner import Progress, Run
from evals.task import Task
from evals.types import TaskInfo
from evals.wording import metric_name
from fewshot.cli.answers import causes_in, require_answers, tell_constant, tell_failures
from fewshot.cli.output import messages, offline, say, show, show_json, show_table
from fewshot.cli.reading import USUAL, Reading
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import ResumeMismatch, UsageError
from fewshot.core.paths import refuse_overwriting, write_atomically
from fewshot.core.registry import Entry

#: Plain progress lines (no terminal) come at most this often, in seconds.
_LINE_EVERY = 10.0
#: Episodes in which near copies are looked for.
_LOOKED_AT = 20


@dataclass(frozen=True)
class Episodes:
    """Which episodes a run draws. Where `class_split`, `way` or `query` is None the task decides."""

    way: int | None
    shot: int
    query: int | None
    episodes: int
    seed: int
    class_split: str | None
    part: str
    query_balance: str = EQUAL


def prepare_task(
    name: str,
    notify: Callable[[str], None] = say,
    *,
    output: Path | None = None,
    reading: Reading = USUAL,
) -> Task:
    """Load a task and tell what loading dropped.

    Args:
        reading: how it is read, if it is a file.
        output: where the command will write; it must not be a file of the task.
    """
    from evals.loading import load_task

    task = load_task(name, offline=offline(), **reading.for_source(name))
    if output is not None:
        refuse_overwriting(output, task.files)
    for note in task.notes:
        notify(f"{task.name}: {note}")
    return task


def build_sampler(task: Task, wanted: Episodes) -> EpisodeSampler:
    """The sampler of a run."""
    sampler = EpisodeSampler.of(
        task,
        wanted.way,
        wanted.shot,
        wanted.query,
        wanted.seed,
        wanted.class_split,
        wanted.part,
        wanted.query_balance,
    )
    if wanted.query is None and sampler.query < QUERIES:
        say(f"{sampler.query} texts to label per class, not {QUERIES}: some class of {task.name} has no more")
    return sampler


def baselines(task: TaskInfo) -> dict[str, Learner]:
    """Every learner that the registry flags as a baseline and that can answer the task, and its values."""
    found = {
        name: LEARNERS.build(name)
        for name, entry in LEARNERS.entries().items()
        if entry.baseline and _answers(entry, task.kind) and task.modality in (entry.modalities or (task.modality,))
    }
    if task.kind == "classification" and (plain := {"image": "pixels", "series": "steps"}.get(task.modality)):
        found[plain] = LEARNERS.build(f"prototypes:encoder={plain}")
    return found


def given_options(ctx: typer.Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that stand on the command line or in the environment, rather than at their defaults."""
    sources = {key: ctx.get_parameter_source(key) for key in options}
    # By name: typer carries a copy of click with an enumeration of its own.
    given = {key for key, source in sources.items() if source and source.name in ("COMMANDLINE", "ENVIRONMENT")}
    return {key: value for key, value in options.items() if key in given}


def resumed_options(ctx: typer.Context, folder: Path, options: Mapping[str, Any], *, trust: bool) -> dict[str, Any]:
    """The options a run was started with, refusing others that are given now.

    Whoever made the folder wrote them. Those that do more than compute are taken where they are given again, where this
    user began the run, or where `trust` says so. The task is not asked about: reading texts is what a run is for.

    Args:
        folder: the run's.
        options: of the command as it was called this time.

    Raises:
        ResumeMismatch: with one line per option that differs.
        NotTrusted: naming what nobody consented to.
        StorageError: what is stored are no options of this command.
    """
    from evals.rundir import read_config
    from evals.store import Store
    from fewshot.core.consent import require_consent

    with Store.read(folder) as store:
        stored = _as_options(ctx, read_config(store)["settings"], options, store.path)
    given = given_options(ctx, options)
    changed = [
        f"  --{key.replace('_', '-')}: {stored.get(key)} -> {value}"
        for key, value in given.items()
        if stored.get(key) != value
    ]
    if changed:
        difference = "\n".join(changed)
        raise ResumeMismatch(
            f"{folder} was begun with other options:\n{difference}\nLeave them out to resume, or begin a new run"
        )
    asked = {key: value for key, value in stored.items() if key not in given and key != "task"}
    require_consent(asked, folder, trust=trust, place=folder)
    return stored


def _as_options(ctx: typer.Context, stored: Any, known: Mapping[str, Any], origin: Path) -> dict[str, Any]:
    """Stored settings that could be options of this command; defaults where there are none."""
    from fewshot.core.stored import known_arguments

    declared = inspect.signature(ctx.command.callback, eval_str=True).parameters if ctx.command.callback else {}
    hints = {name: declared[name].annotation for name in known}
    return {**known, **known_arguments(hints, stored, f"{origin} (settings)")}


def begun_in(folder: Path) -> str | None:
    """The folder that a run was begun in, where it is known."""
    from evals.store import Store

    with Store.read(folder) as store:
        return store.config.get("begun_in")


def return_to(
    ctx: typer.Context, begun: str | None, tasks: Iterable[str], *paths: Path | None
) -> tuple[Path | None, ...]:
    """Go back, for the rest of the command, to the folder in which a run was begun: there its paths mean what they did.

    It stays where it is if that folder is gone, or if data that is not there is here: what was moved as a whole goes on
    in its new place. Whether the data is the same is seen from its fingerprint.

    Args:
        begun: the folder, where it is known.
        tasks: as they were named.
        paths: given this time, relative to the folder the command is called in.

    Returns:
        the paths, as they are to be used from now on.
    """
    there = Path(begun or ".").absolute()
    moved = any(Path(name).exists() and not (there / name).exists() for name in tasks)
    if there == Path.cwd() or moved or not there.is_dir():
        return paths
    found = tuple(path and path.absolute() for path in paths)
    ctx.with_resource(chdir(there))
    return found


def refuse_kind(task: Task, learner: Learner) -> None:
    """Refuse a learner that declares other kinds of tasks than this one.

    Raises:
        UsageError: naming the kinds that it answers.
    """
    kinds = answered_kinds(getattr(learner, "kinds", None), meta_trained=isinstance(learner, MetaLearner))
    if kinds is not None and task.info.kind not in kinds:
        raise UsageError(
            f"{task.name} is a {task.info.kind} task; {learner.name} answers {' and '.join(kinds)} tasks"
            + (f"; {' and '.join(able)} can" if (able := answering(task.info.kind)) else ", and no learner here does")
        )


def answering(kind: str) -> list[str]:
    """The learners at hand, baselines aside, that declare this kind of task or none at all."""
    return [name for name, entry in LEARNERS.entries().items() if not entry.baseline and _answers(entry, kind)]


def _answers(entry: Entry, kind: str) -> bool:
    kinds = answered_kinds(entry.kinds, meta_trained=entry.needs_meta_training)
    return kinds is None or kind in kinds


def tell_near_copies(task: Task, sampler: EpisodeSampler, n_episodes: int) -> None:
    """Say how many queries of the first episodes nearly repeat a text that is shown beside them."""
    from evals.copies import shown_and_asked

    if note := shown_and_asked(sampler[at].problem for at in range(min(_LOOKED_AT, n_episodes))):
        say(f"{task.name}: {note}")


def describe_plan(task: Task, sampler: EpisodeSampler, n_episodes: int, learner: Learner, ctx: Context) -> Estimate:
    """Say, before any work, what will run and what it is expected to take."""
    from evals.leaks import refuse_leaks

    if n_episodes < 1:
        raise UsageError(f"--episodes {n_episodes} is too small; use 1 or more")
    refuse_kind(task, learner)
    refuse_leaks([learner], sampler)
    tell_near_copies(task, sampler, n_episodes)
    problems = [sampler[at].problem for at in range(min(2, n_episodes))]
    estimate = for_task(learner, task.info, task.labels).estimate(problems, n_episodes, ctx)
    queries = n_episodes * len(problems[0].queries)
    balance = in_words(sampler.query_balance)
    say(f"{task.name}: {sampler.way}-way {sampler.shot}-shot, {n_episodes} episodes, {queries} queries{balance}")
    parts = [
        f"about {duration(estimate.seconds)}" if estimate.seconds is not None else "time unknown",
        f"{estimate.tokens:,} tokens" if estimate.tokens is not None else "tokens unknown",
        money(estimate.usd),
    ]
    say(f"expected: {', '.join(parts)}")
    return estimate


@contextmanager
def instead_of_resuming(advice: str = "") -> Iterator[None]:
    """Put this advice, or none, in the place of the runner's, which is about a single run that is kept.

    None is given on what cannot be asked for: it would not pass a second time.
    """
    try:
        yield
    except UsageError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        error.__notes__ = [advice] if advice else []
        raise


def money(usd: float | None) -> str:
    """An amount in words; small ones keep two digits."""
    if usd is None:
        return "cost unknown"
    return f"{usd:.2g} USD" if 0 < usd < 0.1 else f"{usd:.2f} USD"


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(learner: str, total: int) -> Iterator[Callable[[Progress], None]]:
    """Yields what the runner reports to: a bar on a terminal, a plain line now and then elsewhere.

    Args:
        learner: name of the learner that the run is about.
        total: episodes.
    """
    console = messages()
    if not console.is_terminal:
        last = time.monotonic()

        def report_line(at: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= _LINE_EVERY:
                last = time.monotonic()
                say(f"{_shown_name(at, learner)}: {at.done}/{at.total} episodes")

        yield report_line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        job = bar.add_task("", total=total)
        yield lambda at: bar.update(job, description=_shown_name(at, learner), completed=at.done, total=at.total)


def _shown_name(at: Progress, main: str) -> str:
    return main if at.learner == MAIN else at.learner


def run_and_show(
    learner: Learner,
    sampler: EpisodeSampler,
    n_episodes: int,
    options: Mapping[str, Any],
    context: Context,
    folder: Path,
    *,
    baselines: Mapping[str, Learner],
    resume: bool,
    as_json: bool,
    output: Path | None,
) -> Run:
    """Run a learner beside baselines, print the result, and write it where `output` says.

    Args:
        options: those that decide the result; they guard a later resume.
        folder: the run's.
    """
    from evals.runner import run

    with progress(learner.name, n_episodes) as report:
        finished = run(
            learner,
            sampler,
            n_episodes,
            run_dir=folder,
            ctx=context,
            baselines=baselines,
            config=options,
            resume=resume,
            on_progress=report,
        )
    show_summary(finished.result, as_json)
    if output:
        write_result(finished.result, output)
    used = finished.result["usage"].get("predict")
    if used and (used["usd"] != 0 or (used["tokens_cached"] and not used["requests"])):
        say(f"used: {_used(used)}")
    say(f"files: {finished.folder}")
    tell_constant(finished.result["learner"], finished.result.get("constant_predictor"))
    return finished


def require_answered(finished: Run) -> None:
    """Tell which texts were not answered.

    Raises:
        FewshotError: all of them.
    """
    result = finished.result
    causes = causes_in(finished.folder) if result["non_ok_rate"] else ()
    require_answers(tell_failures(result["learner"], result["statuses"], causes))


def _used(usage: Mapping[str, Any]) -> str:
    """What a hosted model took. Cached tokens were read from the provider's cache, or paid for by another run."""
    cached = usage["tokens_cached"]
    read = usage["tokens_in"] + cached
    tokens = f"{read:,} tokens read ({cached / read if read else 0:.0%} cached), {usage['tokens_out']:,} written"
    return f"{usage['requests']:,} requests, {tokens}, {money(usage['usd'])}"


def show_summary(summary: Mapping[str, Any], as_json: bool) -> None:
    """Print the result: one JSON document, or a table with what it means below."""
    if as_json:
        show_json(summary)
        return
    kind = kind_named(summary["kind"])
    entries = {summary["learner"]: summary, **summary["baselines"]}
    rows = [_row(name, entry, kind) for name, entry in entries.items()]
    way = f"{summary['way']}-way " if summary["way"] and kind.name != "generation" else ""
    title = f"{summary['task']}: {way}{summary['shot']}-shot, {summary['n_episodes']} episodes"
    title += in_words(summary["query_balance"])
    columns = ["learner", metric_name(kind.metric), "95% interval", "over ok", *kind.shown, "non-ok"]
    show_table(columns, rows, title=title, right=columns[1:])
    chance = "" if summary["chance"] is None else f"chance {summary['chance']:.3f}, "
    show(f"{chance}{summary['n_queries']} queries per learner; intervals: t over episodes")
    if summary["transductive"]:
        show("transductive: the answer to a query used the other queries of its episode; not comparable with the rest")


def _row(name: str, entry: Mapping[str, Any], kind: Kind) -> list[str]:
    key = "accuracy" if kind.metric == "accuracy" else "score"
    low, high = entry[key]["ci95"]
    figures = [entry[f"{key}_ok"], *(entry[secondary] for secondary in kind.shown.values())]
    return [
        name,
        f"{entry[key]['mean']:.3f}",
        f"{low:.3f} to {high:.3f}",
        *("-" if figure is None else f"{figure:.3f}" for figure in figures),
        f"{entry['non_ok_rate']:.1%}",
    ]


def write_result(summary: Mapping[str, Any], path: Path) -> None:
    """Write the result document to a .json file."""
    write_atomically(path, json.dumps(summary, ensure_ascii=False, indent=2, allow_nan=False) + "\n", mode=0o666)
    say(f"written: {path}")
