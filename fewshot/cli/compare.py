"""`fewshot compare`: prompting against training on the same episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.answers import require_answers, tell_alarm, tell_constant, tell_failures
from fewshot.cli.groups import with_options
from fewshot.cli.options import AsJson, Device, DryRun, RunDir, Tracker, Trust, Way
from fewshot.cli.output import left_out, say, show, show_json, show_table
from fewshot.cli.reading import Reading, TaskReading
from fewshot.core.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from evals.comparison import Comparison
    from evals.comparison.analysis import Analysis, Standing
    from evals.comparison.conduct import Job, Plan, Step
    from evals.comparison.study import Study
    from evals.learner import Context
    from evals.runner import Progress
    from evals.task import Task

_DEFAULT_TASK = "intents-en"
#: Prompting and training; and what stands in for both where the packages of neither are here.
_DEFAULT_LEARNERS, _LIGHT_LEARNERS = ("icl", "prototypes"), ("probe:encoder=lexical",)


@with_options(TaskReading)
def compare(
    ctx: typer.Context,
    study: Annotated[
        Path | None, typer.Argument(metavar="[STUDY.yaml]", help="A study file, instead of options.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Task; may be repeated.")] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option(
            "--learner",
            "-l",
            help="Learner spec; may be repeated; baselines are always in.  [default: icl and prototypes]",
        ),
    ] = None,
    way: Way = None,
    shot: Annotated[str | None, typer.Option(help="Labelled texts per class: 5, or 1,2,4,8,16.  [default: 5]")] = None,
    query: Annotated[int | None, typer.Option(help="Texts to label per class.  [default: 5]")] = None,
    episodes: Annotated[
        int | None, typer.Option("--episodes", "-n", help="Per class split and seed.  [default: 100]")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Seeds: 0, or 0,1,2.  [default: 0]")] = None,
    class_split: Annotated[
        str | None, typer.Option("--class-split", "--split", help="Class splits: 01, or 01,02; all for every class.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="train, valid or test.  [default: test]")] = None,
    query_balance: Annotated[
        str | None, typer.Option(help="equal, or dirichlet[:ALPHA]: classes are asked unevenly.  [default: equal]")
    ] = None,
    until_ci: Annotated[
        float | None, typer.Option(help="Stop a learner once its 95% interval is this many points to either side.")
    ] = None,
    device: Device = "auto",
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    shard: Annotated[str, typer.Option(help="i/n: do every n-th part only; report the folders together.")] = "1/1",
    run_dir: RunDir = Path("runs"),
    resume: Annotated[Path | None, typer.Option(help="Continue this comparison's folder.")] = None,
    trust: Trust = False,
    tracker: Tracker = None,
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a report: .html, .md, .csv, .parquet, .tex or .json.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Let learners meet the same episodes; say who wins, by how much, and from how many examples on that changes."""
    from evals.comparison.conduct import make_plan, read_conducted
    from evals.comparison.contestants import contestants
    from evals.report import require_format
    from evals.rundir import new_run_dir
    from fewshot.cli.experiment import prepare_task, return_to
    from fewshot.core.catalog import ENGINES
    from fewshot.core.devices import resolve_device

    if output is not None:
        require_format(output)
    ENGINES.require(engine)
    if device != "auto":
        resolve_device(device)
    given = {
        "task": task,
        "learner": learner,
        "way": way,
        "shot": shot,
        "query": query,
        "episodes": episodes,
        "seed": seed,
        "class_split": class_split,
        "part": part,
        "query_balance": query_balance,
        "until_ci": until_ci,
        **{field.name: ctx.params[field.name] for field in fields(TaskReading)},
    }
    wanted = _study(study, resume, {name: value for name, value in given.items() if value is not None}, trust)
    if resume is not None:
        resume, output = return_to(ctx, read_conducted(resume).begun_in, wanted.task, resume, output)
    said = wanted.model_dump()
    reading = TaskReading.of(said, *wanted.task)
    tasks = {name: prepare_task(name, output=output, reading=reading) for name in wanted.task}
    train = partial(prepare_task, reading=Reading.of(said, *wanted.task))
    plan = make_plan(wanted, contestants(wanted.learner, trust=trust), tasks, _shard(shard))
    carry_out(
        plan,
        resume or partial(new_run_dir, run_dir, "-".join(tasks), "compare"),
        train,
        show_comparison,
        device=device,
        engine=engine,
        tracker=tracker,
        as_json=as_json,
        output=output,
        dry_run=dry_run,
    )


def carry_out(
    plan: Plan,
    place: Path | Callable[[], Path],
    train: Callable[[str], Task],
    show_found: Callable[[Comparison], None],
    *,
    device: str,
    engine: str,
    tracker: list[str] | None,
    as_json: bool,
    output: Path | None,
    dry_run: bool,
) -> None:
    """Tell what a plan is, carry it out, and show what was found.

    Args:
        place: the folder to go on in, or what makes a new one.
        train: gives the tasks that a meta-learner wants to be trained on.
        show_found: prints it for a reader.
        dry_run: only tell what is expected.
    """
    from evals.comparison import Comparison
    from evals.comparison.conduct import conduct
    from evals.learner import Context
    from evals.report import write_report
    from evals.runner import interruptible
    from evals.trackers import track
    from fewshot.cli.experiment import instead_of_resuming, tell_near_copies
    from fewshot.cli.report import default_name

    context = Context(device=device, notify=say)
    _tell_plan(plan)
    for sampler in {job.sampler.task.name: job.sampler for job in plan.jobs}.values():
        tell_near_copies(sampler.task, sampler, plan.study.episodes)
    if dry_run:
        _tell_expected(plan, context, train)
        return
    folder = place if isinstance(place, Path) else place()
    with track(tracker or (), folder.name, plan.study.model_dump(mode="json"), say) as tracking:
        advice = f"What was answered is stored; continue with: fewshot compare --resume {folder}"
        with instead_of_resuming(advice), interruptible(context), _progress(plan) as on_progress:
            conduct(plan, folder, context, load=train, engine=engine, on_progress=on_progress, on_step=_tell)
        comparison = Comparison.read([folder])
        tracking.finish(comparison.document)
    show_json(comparison.document) if as_json else show_found(comparison)
    if output is not None:
        write_report(comparison, output)
    say(f"files: {folder}")
    say(f"next: fewshot report {folder} -o {default_name()}")
    require_answers(*_tell_answers(comparison))
    if any(missing.status == "failed" for missing in comparison.absent):
        raise typer.Exit(1)


def _tell_answers(comparison: Comparison) -> list[str]:
    """Tell of alarms and failures; return those of learners that answered nothing at all."""
    from evals.comparison.falls import falls

    failures = []
    for analysis in comparison.analyses:
        for standing in analysis.standings:
            if not standing.baseline:
                name = f"{standing.learner} ({analysis.table.task}, {analysis.table.shot}-shot)"
                tell_constant(name, standing.constant_predictor)
                failures.append(tell_failures(name, standing.statuses))
    for name, task, fall in falls(comparison.analyses):
        tell_alarm(fall.sentence(name, task))
    return failures


def _study(path: Path | None, resume: Path | None, given: dict[str, Any], trust: bool) -> Study:
    """The study that a file, a folder to be resumed, or options describe. Learners that are read have to be trusted."""
    from evals.comparison.conduct import read_conducted
    from evals.comparison.study import make_study, read_study
    from fewshot.core.consent import require_consent

    if path is not None and given:
        raise UsageError(f"{path} is the whole study: leave out {', '.join('--' + name for name in given)}, or edit it")
    if path is not None:
        study = read_study(path)
        require_consent(study.learner, path, trust=trust)
        return study
    if resume is not None:
        stored = read_conducted(resume).study
        if "learner" not in given:
            require_consent(stored.learner, resume, trust=trust, place=resume)
        return make_study(**{**stored.model_dump(), **given})
    return make_study(**{"task": [_DEFAULT_TASK], **({} if "learner" in given else {"learner": _defaults()}), **given})


def _defaults() -> tuple[str, ...]:
    """The default learners that can run with the packages that are here; tells which cannot."""
    from fewshot.core.catalog import LEARNERS

    missing: dict[str, str] = {}
    for spec in _DEFAULT_LEARNERS:
        try:
            LEARNERS.require(spec)
        except MissingExtra as error:
            missing[spec] = error.remedy
    for line in left_out(missing):
        say(line)
    return tuple(spec for spec in _DEFAULT_LEARNERS if spec not in missing) or _LIGHT_LEARNERS


def _shard(text: str) -> tuple[int, int]:
    one, slash, of = text.partition("/")
    if not (slash and one.isdigit() and of.isdigit()):
        raise UsageError(f"--shard {text}: write i/n, as in 1/4")
    return int(one), int(of)


def _tell_plan(plan: Plan) -> None:
    for sampler in {job.sampler.task.name: job.sampler for job in plan.jobs}.values():
        shots = ", ".join(map(str, plan.study.shot))
        say(f"{sampler.task.name}: {sampler.way}-way at {shots} shots, {plan.study.episodes} episodes of each series")
    say(f"learners: {', '.join(dict.fromkeys(job.contestant.name for job in plan.jobs))}")
    for missing in plan.absent:
        say(f"left out: {missing.learner} on {missing.task}: {missing.reason}")


def _tell_expected(plan: Plan, context: Context, load: Callable[[str], Task]) -> None:
    from evals.comparison.forecast import forecast
    from fewshot.cli.experiment import duration

    expected = forecast(plan, context, load)
    rows = [
        [
            each.learner,
            each.n_runs,
            each.n_queries,
            "unknown" if each.seconds is None else duration(each.seconds),
            "unknown" if each.usd is None else f"{each.usd:.2f}",
        ]
        for each in expected
    ]
    show_table(["learner", "runs", "queries", "time", "USD"], rows, right=["runs", "queries", "time", "USD"])
    known = sum(each.seconds for each in expected if each.seconds is not None)
    unknown = [each.learner for each in expected if each.seconds is None]
    show(f"in all about {duration(known)}" + (f", and the unknown time of {', '.join(unknown)}" if unknown else ""))


@contextmanager
def _progress(plan: Plan) -> Iterator[Callable[[Job, Progress], None]]:
    """Yields what the episodes of the job at hand are reported to."""
    from fewshot.cli.experiment import progress

    with progress("", plan.study.episodes) as report:
        yield lambda job, at: report(replace(at, learner=f"{_place(job)} {job.contestant.name}"))


def _place(job: Job) -> str:
    sampler = job.sampler
    several = [sampler.class_split] if sampler.class_split else []
    return " ".join([sampler.task.name, *several, f"{sampler.shot}-shot"])


def _tell(step: Step) -> None:
    head = f"[{step.number}/{step.total}] {_place(step.job)} {step.job.contestant.name}"
    say(f"{head}: FAILED, {step.error}" if step.error else f"{head}: done")


def show_comparison(comparison: Comparison) -> None:
    """Print tables, then what they say in words."""
    if comparison.unfinished:
        show(comparison.unfinished)
    for analysis in comparison.analyses:
        _show_table(analysis)
    for missing in comparison.absent:
        show(f"{missing.status}: {missing.learner} on {missing.task}: {missing.reason}")
    for note in comparison.document["notes"]:
        if note != comparison.unfinished:
            show(f"note: {note}")
    for language in ("en", "ko"):
        show()
        for sentence in comparison.sentences(language):
            show(sentence)


def _show_table(analysis: Analysis) -> None:
    from evals.report.terminal import intervals
    from evals.wording import metric_name

    table = analysis.table
    rows = []
    for standing in analysis.standings:
        rows.append(
            [
                standing.learner + (" (transductive)" if standing.transductive else ""),
                f"{standing.accuracy.mean:.3f}",
                f"{standing.accuracy.low:.3f} to {standing.accuracy.high:.3f}",
                f"{standing.new_texts.low:.3f} to {standing.new_texts.high:.3f}",
                *([_pooled(standing)] if table.pooled else []),
                standing.letters,
                _against(analysis, standing.learner),
                f"{standing.non_ok_rate:.1%}",
                f"{1000 * standing.seconds_per_query:.1f}",
            ]
        )
    columns = [
        "learner",
        metric_name(table.metric),
        "this pool",
        "new texts",
        *([table.pooled] if table.pooled else []),
        "group",
        "behind best (p)",
        "non-ok",
        "ms/query",
    ]
    place = f"{table.task}: {table.way}-way {table.shot}-shot"
    title = f"{place}, {table.n_episodes} episodes, {table.n_texts} query texts{table.uneven}"
    _, apart = analysis.blocks
    show_table(columns, rows, title=title, right=columns[1:], apart=len(apart))
    if apart:
        show("transductive: reads all queries of an episode together; ranked apart from the learners above")
    chance = "" if table.chance is None else f"chance {table.chance:.3f}; "
    show(
        f"{chance}learners that share a letter are not told apart; p: new texts, Holm over {len(analysis.pairs)} pairs"
    )
    if table.pooled:
        show(f"{table.pooled}: all texts of all episodes together; its interval: episodes drawn again")
    for line in intervals(analysis):
        show(line)
    show()


def _pooled(standing: Standing) -> str:
    found = standing.pooled
    return "-" if found is None else f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def _against(analysis: Analysis, learner: str) -> str:
    """How far a learner is behind the best one, with the p-value; `identical` where every query scored the same."""
    from evals.wording import lead, p_number

    gap = analysis.behind(learner)
    if gap is None:
        return "-"
    told = lead(gap.difference)
    return told if gap.identical else f"{told} ({p_number(gap.p_new_texts_holm)})"
