"""`fewshot icl run` at several numbers of texts per class: one comparison with the baselines, shown as a curve."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.output import show, show_table
from fewshot.cli.reading import TaskReading
from fewshot.core.errors import UsageError
from fewshot.core.spec import Spec

if TYPE_CHECKING:
    from evals.comparison import Comparison
    from evals.comparison.analysis import Analysis
    from evals.comparison.conduct import Plan


def _one_or_several(text: str | int) -> int | tuple[int, ...]:
    """One number, or several that are separated by commas."""
    numbers = [part.strip() for part in str(text).split(",")]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise UsageError(f"--shot {text}: give a number, or several as in 1,2,4,8")
    return int(numbers[0]) if len(numbers) == 1 else tuple(map(int, numbers))


#: A tuple where several are given.
Shots = Annotated[
    int,
    typer.Option(
        "--shot",
        parser=_one_or_several,
        metavar="<int,...>",
        help="Labelled texts per class; several, as in 1,2,4,8, show how accuracy grows.",
    ),
]


def refuse_comparison(folder: Path) -> None:
    """Refuse to go on in a folder with several runs.

    Raises:
        UsageError: with the command that does.
    """
    from evals.comparison.conduct import NAME

    if (folder / NAME).is_file():
        raise UsageError(f"{folder} holds several runs; continue with: fewshot compare --resume {folder}")


def run_curve(learner: Spec, options: Mapping[str, Any]) -> None:
    """Run a learner at every number of shots on the same queries, beside the baselines, and draw its curve.

    Args:
        learner: with all its parameters.
        options: of `icl run`.
    """
    from evals.comparison.conduct import make_plan
    from evals.comparison.contestants import contestants
    from evals.comparison.study import Study, make_study
    from evals.rundir import new_run_dir
    from fewshot.cli.compare import carry_out
    from fewshot.cli.experiment import prepare_task
    from fewshot.core.catalog import LEARNERS

    if options["resume"] is not None:
        raise UsageError("--shot: a run that is resumed has its shots already; leave the option out")
    name = str(LEARNERS.shortened(learner))
    said = {key: value for key, value in options.items() if key in Study.model_fields}
    study = make_study(**{**said, "task": [options["task"]], "learner": [name]})
    reading = TaskReading.of(options, options["task"])
    task = prepare_task(options["task"], output=options["output"], reading=reading)
    plan = make_plan(study, contestants(study.learner, trust=options["trust"]), {options["task"]: task})
    _refuse_unusable(plan, study.learner[0])
    carry_out(
        plan,
        partial(new_run_dir, options["run_dir"], task.name, "icl"),
        prepare_task,
        partial(_show_curve, learner=study.learner[0]),
        device=options["device"],
        engine="local",
        tracker=options["tracker"],
        as_json=options["as_json"],
        output=options["output"],
        dry_run=options["dry_run"],
    )


def _refuse_unusable(plan: Plan, name: str) -> None:
    """Tell what is wrong with the learner, its parts or its model before any work, rather than at every shot."""
    from evals.learner import Context
    from fewshot.cli.experiment import refuse_kind

    job = next((job for job in plan.jobs if job.contestant.name == name), None)
    if job is None:
        raise UsageError("; ".join(absent.reason for absent in plan.absent if absent.learner == name))
    learner = job.contestant.build(job.sampler.seed)
    refuse_kind(job.sampler.task, learner)
    learner.estimate([job.sampler[0].problem], 1, Context(seed=job.sampler.seed))


def _show_curve(comparison: Comparison, learner: str) -> None:
    """Print accuracy by shots, of the learner and the baselines, and draw that of the learner."""
    from evals.report.terminal import curve

    analyses = sorted(comparison.analyses, key=lambda each: each.table.shot)
    table = analyses[0].table
    names = [learner, *(each.learner for each in analyses[-1].standings if each.learner != learner)]
    rows = [[name, *(_cell(analysis, name) for analysis in analyses)] for name in names]
    columns = ["learner", *(f"{analysis.table.shot}-shot" for analysis in analyses)]
    title = f"{table.task}: {table.way}-way, {table.metric} on {table.n_episodes} episodes with the same queries"
    show_table(columns, rows, title=title, right=columns[1:])
    chance = "" if table.chance is None else f"chance {table.chance:.3f}; "
    show(f"{chance}± half of a 95 % interval over episodes")
    show()
    answered = [each for each in analyses if any(standing.learner == learner for standing in each.standings)]
    for line in [f"{learner}:", *curve(learner, answered)] if answered else ():
        show(line)


def _cell(analysis: Analysis, learner: str) -> str:
    found = [each.accuracy for each in analysis.standings if each.learner == learner]
    return f"{found[0].mean:.3f} ±{found[0].half_width:.3f}" if found else "-"
