"""`fewshot icl`: prompt a language model on episodes, on new texts, or just look at the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.crosslingual import crosslingual
from fewshot.cli.options import (
    PRESENTATION,
    AsJson,
    ClassSplit,
    Device,
    DryRun,
    Episodes,
    Labels,
    Part,
    Query,
    Result,
    Resume,
    RunDir,
    Shot,
    Support,
    Task,
    Texts,
    Way,
)
from fewshot.cli.output import say, show, show_json, show_table
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from icl.learner import ICLLearner

app = typer.Typer(no_args_is_help=True, help="In-context learning: classify by prompting a language model.")

Model = Annotated[str, typer.Option("--model", "-m", help="smollm2, hf:ORG/NAME, a directory or a .gguf file.")]
Demos = Annotated[str, typer.Option(help="Demonstrations per prompt: a number, or all.")]
Selector = Annotated[str, typer.Option(help="all, random, balanced, knn, mmr:lambda=0.5 ...")]
Order = Annotated[str, typer.Option(help="given, nearest-last, shuffled.")]
Calibrate = Annotated[str, typer.Option(help="none, contextual, batch (transductive).")]
Method = Annotated[str, typer.Option(help="direct (score every label) or generate.")]
Normalize = Annotated[str, typer.Option(help="Label score: sum, mean (per token) or bytes.")]
Template = Annotated[str | None, typer.Option(help="Template name or .j2 file; default: the task's.")]
Format = Annotated[str, typer.Option(help="completion or chat.")]
Encoder = Annotated[str, typer.Option(help="For similarity: lexical, minilm, hf:ORG/NAME.")]
Dtype = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of episodes, selection and order.")]


@app.command("run")
def run(
    ctx: typer.Context,
    task: Task = "sentiment-ko",
    model: Model = "smollm2",
    way: Way = None,
    shot: Shot = 5,
    query: Query = 5,
    episodes: Episodes = 20,
    seed: Seed = 0,
    class_split: ClassSplit = None,
    part: Part = "test",
    demos: Demos = "all",
    selector: Selector = "all",
    order: Order = "shuffled",
    calibrate: Calibrate = "contextual",
    method: Method = "direct",
    normalize: Normalize = "sum",
    template: Template = None,
    format: Format = "completion",
    encoder: Encoder = "lexical",
    dtype: Dtype = "auto",
    device: Device = "auto",
    run_dir: RunDir = Path("runs"),
    resume: Resume = None,
    as_json: AsJson = False,
    output: Result = None,
    dry_run: DryRun = False,
) -> None:
    """Classify the episodes of a task by prompting, beside the baselines."""
    from evals.learner import Context
    from evals.rundir import new_run_dir
    from evals.runner import run as run_episodes
    from fewshot.cli import experiment

    options = {key: value for key, value in ctx.params.items() if key not in PRESENTATION}
    if resume is not None:
        options = experiment.resumed_options(resume, experiment.given_options(ctx, options))
    wanted = experiment.Episodes(**{field.name: options[field.name] for field in fields(experiment.Episodes)})
    loaded = experiment.prepare_task(options["task"])
    sampler = experiment.build_sampler(loaded, wanted)
    learner = _learner(options)
    context = Context(device=options["device"], seed=wanted.seed, notify=say)
    experiment.describe_plan(loaded, sampler, wanted.episodes, learner, context)
    if dry_run:
        return
    with experiment.progress(learner.name, wanted.episodes) as report:
        finished = run_episodes(
            learner,
            sampler,
            wanted.episodes,
            run_dir=resume or new_run_dir(run_dir, loaded.name, "icl"),
            ctx=context,
            baselines=experiment.baselines(),
            config=options,
            resume=resume is not None,
            on_progress=report,
        )
    experiment.show_summary(finished.result, as_json)
    if output:
        experiment.write_result(finished.result, output)
    _tell_next(finished.folder, finished.result)


def _learner(options: Mapping[str, Any]) -> ICLLearner:
    """The ICL learner that the options describe."""
    from fewshot.core.catalog import LEARNERS
    from fewshot.core.spec import Spec

    names = (
        *("model", "selector", "order", "calibrate", "method", "normalize"),
        *("template", "format", "encoder", "dtype", "device"),
    )
    params = {name: options[name] for name in names}
    return LEARNERS.build(Spec("icl", {**params, "demos": _demos(options["demos"])}))


def _demos(value: str) -> str | int:
    if value == "all":
        return value
    if not value.isdigit():
        raise UsageError(f"--demos {value}: give a number, or all")
    return int(value)


def _tell_next(folder: Path, summary: dict[str, Any]) -> None:
    say(f"files: {folder}")
    if summary["n_episodes"] < 100:
        say(f"next: more episodes narrow the interval (--episodes 200), or look inside: fewshot runs show {folder}")
    else:
        say(f"next: fewshot runs export {folder} -o items.csv")


@app.command("predict")
def predict(
    ctx: typer.Context,
    source: Texts,
    support: Support,
    model: Model = "smollm2",
    demos: Demos = "all",
    selector: Selector = "all",
    order: Order = "shuffled",
    calibrate: Calibrate = "contextual",
    method: Method = "direct",
    normalize: Normalize = "sum",
    template: Template = None,
    format: Format = "completion",
    encoder: Encoder = "lexical",
    dtype: Dtype = "auto",
    device: Device = "auto",
    seed: Seed = 0,
    output: Labels = None,
) -> None:
    """Label new texts: INPUT in, one JSON line per text out."""
    from fewshot.cli.inputs import label_texts

    label_texts(_learner(ctx.params), support, source, output, seed=seed, device=device)


@app.command("preview")
def preview(
    ctx: typer.Context,
    task: Task = "sentiment-ko",
    model: Model = "smollm2",
    text: Annotated[str | None, typer.Option("--text", help="A text of your own as the query.")] = None,
    index: Annotated[int, typer.Option("--index", help="Which query of the episode.")] = 0,
    episode: Annotated[int, typer.Option("--episode", help="Which episode.")] = 0,
    way: Way = None,
    shot: Shot = 5,
    query: Query = 5,
    seed: Seed = 0,
    class_split: ClassSplit = None,
    part: Part = "test",
    demos: Demos = "all",
    selector: Selector = "all",
    order: Order = "shuffled",
    calibrate: Calibrate = "contextual",
    method: Method = "direct",
    normalize: Normalize = "sum",
    template: Template = None,
    format: Format = "completion",
    encoder: Encoder = "lexical",
    dtype: Dtype = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Show the exact prompt, its demonstrations and the tokens where the label begins. Runs no model."""
    from evals.learner import Context
    from evals.types import Query as QueryText
    from fewshot.cli import experiment

    loaded = experiment.prepare_task(task)
    sampler = experiment.build_sampler(loaded, experiment.Episodes(way, shot, query, 1, seed, class_split, part))
    problem = sampler[episode].problem
    if text is not None:
        problem = replace(problem, queries=(QueryText("q0", text),))
        index = 0
    if not 0 <= index < len(problem.queries):
        raise UsageError(f"--index {index}: the episode has {len(problem.queries)} queries, numbered from 0")
    learner = _learner(ctx.params)
    context = Context(device=device, seed=seed, notify=say)
    seen = learner.preview(problem, index, context)
    if as_json:
        show_json(asdict(seen))
        return
    show(seen.shown)
    show()
    rows = [
        [label.name, repr(continuation), " | ".join(f"{token!r} {ident}" for ident, token in boundary)]
        for label, continuation, boundary in zip(problem.labels, seen.continuations, seen.boundaries, strict=True)
    ]
    show_table(["label", "continuation", "tokens at the boundary"], rows)
    show(f"demonstrations: {', '.join(seen.query.demonstrations) or 'none'}")
    if seen.query.n_dropped:
        show(f"{seen.query.n_dropped} demonstrations do not fit and are dropped")
    show(f"prompt: {seen.n_tokens} tokens; the whole episode: {seen.trie_size} tokens to compute")
    for note in seen.notes:
        show(f"note: {note}")


@app.command("select")
def select(
    text: Annotated[str, typer.Option("--text", help="The query.")],
    task: Task = "sentiment-ko",
    selector: Selector = "knn",
    count: Annotated[int, typer.Option("-k", "--count", help="How many examples.")] = 5,
    encoder: Encoder = "lexical",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Pick examples for a text from all labelled rows of a task (its train rows, where it has a split)."""
    from evals.types import Query as QueryText
    from fewshot.cli.experiment import prepare_task
    from fewshot.core.catalog import SELECTORS
    from icl.selectors import Pool

    if count < 1:
        raise UsageError(f"--count {count} is too small; use 1 or more")
    loaded = prepare_task(task)
    pool = loaded.rows.get("train") or next(iter(loaded.rows.values()))
    chosen = SELECTORS.build(selector, encoder=encoder)
    picked = chosen.select([QueryText("q0", text)], Pool(tuple(pool)), count, [seed])[0]
    if as_json:
        show_json([{"id": x.id, "label": x.label, "similarity": s, "text": x.text} for x, s in picked])
        return
    show_table(
        ["id", "label", "similarity", "text"],
        [[x.id, x.label, "-" if s is None else f"{s:.3f}", x.text] for x, s in picked],
        right=["similarity"],
    )


app.command("crosslingual")(crosslingual)
