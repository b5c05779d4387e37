"""`fewshot recommend`, `predict` and `power`: for someone with labelled texts and the question what to do with them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.answers import tell_alarm
from fewshot.cli.groups import with_options
from fewshot.cli.options import Abstain, AsJson, ClassSplit, Device, Labels, Part, Query, Shot, Task, Texts, Trust, Way
from fewshot.cli.output import left_out, offline, say, show, show_json, show_table
from fewshot.cli.reading import Reading, TaskReading
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from evals.comparison import Comparison
    from evals.comparison.analysis import Analysis
    from evals.recommend import Power, Recommendation
    from evals.recommend.ladder import LeftOut
    from evals.recommend.trial import Trial
    from evals.task import Task as LoadedTask

#: What of reading a file finding its columns depends on.
_OF_COLUMNS = ("text", "label", "encoding", "sheet")
#: How a language model that is named joins the ladder: few demonstrations, so that a prompt stays short and cheap.
_PROMPTED = {"selector": "knn", "demos": 8, "order": "nearest-last"}

_SHOWN_DOUBTS = 5


@with_options(TaskReading)
def recommend(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FILE", help="Labelled texts (.csv, .tsv, .jsonl ...), or a task.")],
    budget: Annotated[
        float, typer.Option("--budget", metavar="MINUTES", help="Minutes for all learners; each has its share.")
    ] = 10.0,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", metavar="USD", help="Money for all learners.  [default: no limit]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Language model to be tried too, as openai:NAME; may be repeated."),
    ] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option("--learner", "-l", help="Learner to be tried, instead of the usual ones; may be repeated."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", help="Labelled texts used at most.")] = 2000,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="New folder of the predictor.  [default: NAME-predictor]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of splits and learners.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find out which learner to take for labelled texts of your own, how sure that is, and keep it as a predictor.

    Nothing is kept when it is interrupted, but answers of hosted models stay in the cache: run it again, and they are
    not paid for twice.
    """
    from functools import partial

    from evals.learner import Budget, Context
    from evals.predictor import require_new
    from evals.recommend import recommend as find
    from evals.recommend.ladder import larger
    from fewshot.cli.experiment import prepare_task

    if not budget > 0:
        raise UsageError(f"--budget {budget:g}: give more than 0 minutes")
    if max_cost is not None and not max_cost >= 0:
        raise UsageError(f"--max-cost {max_cost:g}: give USD, 0 or more")
    if out is not None:
        require_new(out)
    reading = TaskReading.of(ctx.params, source)
    task, column = _load(source, reading)
    require_new(out or _new_folder(task.name))
    found = find(
        task,
        learner or None,
        also=[_prompted(name) for name in model or ()],
        minutes=budget,
        max_rows=rows,
        text_column=column,
        ctx=Context(device=device, seed=seed, budget=Budget(max_usd=max_cost), notify=say),
        load=partial(prepare_task, reading=Reading.of(ctx.params, source)),
        on_step=_tell,
    )
    folder = out or _new_folder(task.name)  # anew: another process may have taken the first one meanwhile
    show_json({**found.document, "predictor": str(folder)}) if as_json else _show(found)
    for alarm in found.alarms:
        tell_alarm(alarm)
    found.save(folder)
    say(f"files: {folder}")
    say(f"next: fewshot predict --from {folder}{' --trust' if found.predictor.needs_trust else ''} NEW.csv")
    if not learner:
        again = ["fewshot", "recommend", source, *reading.as_options(source), *larger(task.info.language, not model)]
        say(f"larger models of the Hugging Face hub may do better: {shlex.join(again)}")


@with_options(Reading)
def predict(
    ctx: typer.Context,
    texts: Texts,
    source: Annotated[Path, typer.Option("--from", help="Folder of a predictor, made by fewshot recommend.")],
    abstain: Abstain = None,
    trust: Trust = False,
    device: Device = "auto",
    output: Labels = None,
) -> None:
    """Label new texts with a predictor: INPUT in, one row per text out, as JSON lines or by the suffix of -o.

    The column of the texts is that which the predictor learned from, if no other one is named.
    """
    from evals.predictor import Predictor
    from fewshot.cli.inputs import read_texts
    from fewshot.cli.labelled import write_predictions

    reading = Reading.of(ctx.params, texts)
    predictor = Predictor.load(source, trust=trust)
    if changed := predictor.changed_versions:
        say(f"made with other versions ({', '.join(changed)}): answers may differ a little from those that were tested")
    threshold = None if abstain is None else predictor.threshold(abstain)
    if threshold is not None and predictor.confidence is not None:
        coverage, right = predictor.confidence.at(threshold)
        of = "none" if right is None else f"{right.mean:.1%} ({right.low:.1%} to {right.high:.1%}) of them right"
        say(f"unsure below {threshold:.3f}: in the splits {coverage:.0%} of the texts were answered, {of}")
    found = read_texts(texts, sys.stdin.buffer, predictor.text_column, reading)
    write_predictions(predictor.labeller(device, abstain=threshold), found, output)


@with_options(TaskReading)
def power(
    ctx: typer.Context,
    task: Task = "intents-en",
    delta: Annotated[float, typer.Option("--delta", help="Difference to be found: 0.03 is three points.")] = 0.03,
    learner: Annotated[
        list[str] | None, typer.Option("--learner", "-l", help="The two learners; default: two cheap ones.")
    ] = None,
    way: Way = None,
    shot: Shot = 5,
    query: Query = 5,
    episodes: Annotated[int, typer.Option("--episodes", "-n", help="How many episodes are planned.")] = 600,
    pilot: Annotated[int, typer.Option("--pilot", help="Episodes of the pilot.")] = 100,
    class_split: ClassSplit = None,
    part: Part = "test",
    seed: Annotated[int, typer.Option("--seed", help="Seed of episodes and learners.")] = 0,
    source: Annotated[
        list[Path] | None, typer.Option("--from", help="Stored runs or a comparison, instead of a pilot.")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say how many episodes it takes to tell two learners apart, and what the texts at hand can show at best."""
    from evals.comparison import Comparison
    from evals.recommend import power as foresee
    from evals.recommend.power import require_plan

    require_plan(delta, episodes)
    if pilot < 2:
        raise UsageError(f"--pilot {pilot} is too small; use 2 or more episodes")
    if source:
        analysis, texts = _only(Comparison.read(source), shot), None
        names = _two(learner or [standing.learner for standing in analysis.standings[:2]])
    else:
        names = _two(learner or _cheap())
        options = {"way": way, "shot": shot, "query": query, "class_split": class_split, "part": part, "seed": seed}
        analysis, texts = _pilot(task, names, pilot, device, options, TaskReading.of(ctx.params, task))
    found = foresee(analysis, *names, delta=delta, planned=episodes, n_texts=texts)
    show_json(found.document) if as_json else _show_power(found)


def _load(source: str, reading: TaskReading) -> tuple[LoadedTask, str]:
    """The task, and the column of its texts; tells what was guessed."""
    from evals.loading import load_task
    from evals.recommend.columns import find_columns
    from evals.sources import suffix_of

    named = reading.for_source(source)
    if suffix_of(source) and not _says_its_kind(source, named):
        columns = find_columns(Path(source), **{name: value for name, value in named.items() if name in _OF_COLUMNS})
        if columns.guessed:
            say(
                f"guessed columns: texts in {columns.text!r}, labels in {columns.label!r}; --text and --label change it"
            )
        named |= {"text": columns.text, "label": columns.label}
    return load_task(source, offline=offline(), **named), named.get("text", "text")


def _says_its_kind(source: str, named: dict[str, Any]) -> bool:
    """Whether the columns of a file are of another kind of task than one label per text: none has to be guessed."""
    from evals.shape import ANSWERS
    from evals.sources import read_rows

    reading = {name: named[name] for name in ("encoding", "sheet") if name in named}
    wanted = (named.get("text", "text"), named.get("label", "label"), *ANSWERS)
    row = next(iter(read_rows(Path(source), columns=wanted, **reading)), None)
    others = [name for name in ANSWERS if name != "label" and row is not None and name in row.values]
    return "kind" in named or (bool(others) and "label" not in named and row is not None and "label" not in row.values)


def _new_folder(task: str) -> Path:
    """A folder named after the task that is not there yet."""
    from itertools import chain, count

    from evals.rundir import folder_name

    name = folder_name(task, "predictor")
    return next(path for path in map(Path, chain([name], (f"{name}-{n}" for n in count(2)))) if not path.exists())


def _prompted(model: str) -> str:
    """The learner that prompts a model."""
    from fewshot.core.catalog import MODELS
    from fewshot.core.spec import Spec, parse_spec

    MODELS.check(model)
    return str(Spec("icl", {"model": parse_spec(model), **_PROMPTED}))


def _tell(step: Trial | LeftOut) -> None:
    from evals.recommend.trial import Trial

    if isinstance(step, Trial):
        mean = sum(step.accuracy) / len(step.accuracy)
        say(f"{step.spec}: {mean:.3f} after {len(step.accuracy)} splits, {step.seconds:.1f} s")
    else:
        say(f"left out: {step.learner}: {step.why}")


def _show(found: Recommendation) -> None:
    from evals.wording import lead, metric_name, p_number, points

    splits, advice = found.splits, found.findings.advice
    rows = [
        [
            score.learner + (" (transductive)" if score.transductive else ""),
            f"{score.accuracy.mean:.3f}",
            f"{score.accuracy.low:.3f} to {score.accuracy.high:.3f}",
            "-" if score.behind is None else lead(-score.behind),
            "-" if score.p is None else p_number(score.p),
            f"{score.seconds:.1f}",
            "unknown" if score.usd is None else f"{score.usd:.2f}",
        ]
        for score in found.findings.scores
    ]
    frequent = repr(found.findings.majority) if found.findings.majority else "what is most frequent"
    columns = ["learner", metric_name(found.findings.metric), "95% interval", "to the best", "p", "seconds", "USD"]
    of = f" of {splits.n_available:,}" if splits.n_available > len(splits.rows) else ""
    show_table(
        columns,
        rows,
        title=f"{found.task.name}: {len(splits.rows):,}{of} texts, {len(found.predictor.labels)} classes",
        right=columns[1:],
        apart=(apart := sum(score.transductive for score in found.findings.scores)),
    )
    if apart:
        show("transductive: reads all texts that are asked together; ranked apart, and not recommended")
    show(
        f"{splits.repeats} x {splits.folds}-fold splits: {splits.n_train} texts shown, {splits.n_test} asked; always "
        f"answering {frequent} gives {found.findings.majority_share:.3f}"
    )
    show("intervals: corrected for overlapping splits (Nadeau-Bengio); p: against the best, adjusted after Holm")
    if advice.candidates > 1:
        show(
            f"the best of {advice.candidates} on these splits looks {points(advice.optimism)} points too good "
            "(bootstrap of the choice); the sentences below and the predictor quote it without them"
        )
    if found.usd != 0:
        show(f"spent: {'unknown' if found.usd is None else f'{found.usd:.2f}'} USD")
    if (trusted := found.predictor.confidence) is not None:
        before, after = trusted.calibration_error
        show(
            f"probabilities of the predictor: {100 * after:.1f} points off on average, {100 * before:.1f} before they "
            f"were calibrated (temperature {trusted.temperature:.2f}); predict --abstain says where it is unsure"
        )
    for note in found.task.notes:
        show(f"note: {note}")
    for line in left_out({missing.learner: missing.why for missing in found.left_out}):
        show(line)
    _show_doubts(found)
    show()
    show(found.sentence("en"), "bold")
    show(found.sentence("ko"), "bold")


def _show_doubts(found: Recommendation) -> None:
    if not found.doubts:
        return
    show(f"{len(found.doubts)} texts may carry the wrong label; worth a second look:")
    for doubt in found.doubts[:_SHOWN_DOUBTS]:
        short = doubt.text if len(doubt.text) <= 60 else doubt.text[:57] + "..."
        show(f"  {doubt.row}  {short!r}: labelled {doubt.label!r}, answered {doubt.answered!r}")
    if len(found.doubts) > _SHOWN_DOUBTS:
        show("  ... all of them are in the recommendation's file")


def _two(names: Sequence[str]) -> tuple[str, str]:
    if len(set(names)) != 2 or len(names) != 2:
        raise UsageError(f"two learners are told apart: give --learner twice (there are {len(names)})")
    return names[0], names[1]


def _cheap() -> list[str]:
    """The two cheapest learners of the ladder."""
    from fewshot.core.catalog import LADDER

    return list(LADDER[:2])


def _pilot(
    name: str, learners: tuple[str, str], episodes: int, device: str, options: dict[str, Any], reading: TaskReading
) -> tuple[Analysis, int]:
    """A comparison that is not kept, and how many texts its queries are drawn from."""
    import tempfile

    from evals.comparison import compare
    from evals.learner import Context
    from evals.recommend.power import pool_size
    from fewshot.cli.experiment import instead_of_resuming, prepare_task

    task = prepare_task(name, reading=reading)
    say(f"pilot: {episodes} episodes of {learners[0]} and {learners[1]}")
    with tempfile.TemporaryDirectory() as folder, instead_of_resuming():
        ctx = Context(device=device, notify=say)
        comparison = compare(task, learners, **options, episodes=episodes, folder=Path(folder) / "pilot", ctx=ctx)
    for missing in comparison.absent:
        if missing.learner in learners:
            raise UsageError(f"{missing.learner} cannot be tried: {missing.reason}")
    analysis = comparison.analyses[0]
    return analysis, pool_size(task, analysis.table)


def _only(comparison: Comparison, shot: int) -> Analysis:
    """The analysis at this number of shots, or the only one there is."""
    tables = comparison.analyses
    chosen = [analysis for analysis in tables if analysis.table.shot == shot] if len(tables) > 1 else tables
    if len(chosen) != 1:
        there = ", ".join(f"{analysis.table.task} at {analysis.table.shot} shots" for analysis in tables)
        raise UsageError(f"these runs hold {there}; choose one with --shot")
    return chosen[0]


def _show_power(found: Power) -> None:
    points = 100 * found.delta
    show(
        f"{found.task}, {found.way}-way {found.shot}-shot: {found.a} - {found.b} = {100 * found.difference:.1f} points "
        f"in {found.pilot} episodes, standard deviation {100 * found.sd:.1f} points"
    )
    show(f"to find {points:.1f} points on this pool of texts (power 0.8, error 0.05): {found.episodes:,} episodes")
    show(f"with {found.planned:,} episodes, differences of {100 * found.detectable:.1f} points or more are found")
    low, high = 100 * found.new_texts.low, 100 * found.new_texts.high
    show(f"on new texts, the pilot leaves everything from {low:.1f} to {high:.1f} points open")
    verdict = "enough" if found.enough_texts else "NOT enough: label more texts"
    show(
        f"more episodes do not replace more texts: these {found.n_texts:,} can show differences of about "
        f"{100 * found.at_best:.1f} points or more on new texts, however many episodes are drawn; for {points:.1f} "
        f"points that is {verdict}"
    )
