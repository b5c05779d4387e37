"""`fewshot icl`: prompt a language model on episodes, on new texts, or just look at the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.crosslingual import crosslingual
from fewshot.cli.curve import Shots, refuse_comparison, run_curve
from fewshot.cli.groups import names, with_options
from fewshot.cli.hosted import Connection, Server, model_spec
from fewshot.cli.metatrain import metatrain
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
    QueryBalance,
    Result,
    Resume,
    RunDir,
    Shot,
    Support,
    Task,
    Texts,
    Tracker,
    Trust,
    Way,
)
from fewshot.cli.output import say, show, show_json, show_table
from fewshot.cli.reading import ReadingBesideText, TaskReading
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from fewshot.core.spec import Spec
    from icl.learner import ICLLearner

app = typer.Typer(no_args_is_help=True, help="In-context learning: classify by prompting a language model.")

Selector = Annotated[
    str,
    typer.Option(
        help="knn, bm25, mmr:lambda=0.5, dpp; whatever the query: facility, farthest, vote-k, balanced, random ... "
        "With :balanced=true, equally many of each class."
    ),
]
Encoder = Annotated[
    str,
    typer.Option(
        help="For selectors that compare texts: lexical, use-m3, minilm, e5-small, hf:ORG/NAME; auto: minilm for "
        "English, else e5-small."
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of episodes, selection and order.")]


@dataclass(frozen=True)
class Prompting:
    """How a language model is asked."""

    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="auto (ko-mini for Korean praise and blame, else smollm2), ko-mini, smollm2, gemma3, hf:ORG/NAME, "
            "folder, .gguf file, openai:NAME, anthropic:NAME.",
        ),
    ] = "auto"
    demos: Annotated[
        str,
        typer.Option(
            help="Demonstrations per prompt: a number, or all; auto: no more than the model was measured with."
        ),
    ] = "auto"
    selector: Annotated[
        str,
        typer.Option(
            help="all, random, balanced, knn, bm25, mmr:lambda=0.5, dpp, facility, farthest, vote-k, with "
            ":balanced=true for equally many of each class; auto: balanced where not all are shown."
        ),
    ] = "auto"
    order: Annotated[str, typer.Option(help="given, nearest-last, shuffled, shared, entropy.")] = "shuffled"
    readout: Annotated[
        str,
        typer.Option(
            help="labels, ensemble, hidden, knn-prompting, supervised, channel; auto: labels for hosted models and "
            "where selector, demos, method, calibrate or normalize are given, else hidden."
        ),
    ] = "auto"
    calibrate: Annotated[
        str,
        typer.Option(
            help="none, contextual, domain-context, pmi, batch (transductive); auto: contextual for direct, else none."
        ),
    ] = "auto"
    method: Annotated[
        str,
        typer.Option(
            help="direct (score every label), generate, structured, logprobs or decision; auto: direct where the model "
            "scores labels exactly, else generate."
        ),
    ] = "auto"
    normalize: Annotated[str, typer.Option(help="Label score: sum, mean (per token) or bytes.")] = "sum"
    template: Annotated[str | None, typer.Option(help="Template name or .j2 file; default: the task's.")] = None
    format: Annotated[str, typer.Option(help="completion or chat; auto: chat for hosted models.")] = "auto"
    encoder: Encoder = "auto"
    dtype: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16, for local models.")] = None
    device: Device = "auto"


@app.command("run")
@with_options(Prompting, Server, Connection, TaskReading)
def run(
    ctx: typer.Context,
    task: Task = "sentiment-ko",
    way: Way = None,
    shot: Shots = 5,
    query: Query = 5,
    episodes: Episodes = 20,
    seed: Seed = 0,
    class_split: ClassSplit = None,
    part: Part = "test",
    query_balance: QueryBalance = "equal",
    run_dir: RunDir = Path("runs"),
    resume: Resume = None,
    trust: Trust = False,
    tracker: Tracker = None,
    as_json: AsJson = False,
    output: Result = None,
    dry_run: DryRun = False,
) -> None:
    """Classify the episodes of a task by prompting, beside the baselines; several --shot show how accuracy grows."""
    from evals.learner import Context
    from evals.rundir import new_run_dir
    from evals.trackers import track
    from fewshot.cli import experiment
    from fewshot.core.consent import remember

    if isinstance(shot, tuple):
        run_curve(_spec(ctx.params), ctx.params)
        return
    options = {k: v for k, v in ctx.params.items() if k not in (*PRESENTATION, *names(Connection))}
    if resume is not None:
        refuse_comparison(resume)
        options = experiment.resumed_options(ctx, resume, options, trust=trust)
        resume, output = experiment.return_to(ctx, experiment.begun_in(resume), [options["task"]], resume, output)
    connection = {key: ctx.params[key] for key in names(Connection)}
    wanted = experiment.Episodes(**{field.name: options[field.name] for field in fields(experiment.Episodes)})
    reading = TaskReading.of(options, options["task"])
    loaded = experiment.prepare_task(options["task"], output=output, reading=reading)
    sampler = experiment.build_sampler(loaded, wanted)
    learner = _learner({**options, **connection})
    context = Context(device=options["device"], seed=wanted.seed, notify=say)
    experiment.describe_plan(loaded, sampler, wanted.episodes, learner, context)
    if dry_run:
        return
    folder = resume or new_run_dir(run_dir, loaded.name, "icl")
    remember(options, folder)
    with track(tracker or (), folder.name, options, say) as tracking:
        finished = experiment.run_and_show(
            learner,
            sampler,
            wanted.episodes,
            options,
            context,
            folder,
            baselines=experiment.baselines(loaded.info),
            resume=resume is not None,
            as_json=as_json,
            output=output,
        )
        tracking.finish(finished.result)
    experiment.require_answered(finished)
    _tell_next(folder, finished.result)


def _learner(options: Mapping[str, Any]) -> ICLLearner:
    """The ICL learner that the options describe."""
    from fewshot.core.catalog import LEARNERS

    return LEARNERS.build(_spec(options))


def _spec(options: Mapping[str, Any]) -> Spec:
    """The spec of the learner that the options describe."""
    from fewshot.core.spec import Spec

    params = {name: options[name] for name in names(Prompting)}
    return Spec("icl", {**params, "model": model_spec(options), "demos": _demos(options["demos"])})


def _demos(value: str) -> str | int:
    if value in ("all", "auto"):
        return value
    if not (value.isascii() and value.isdigit()):
        raise UsageError(f"--demos {value}: give a number, all or auto")
    return int(value)


def _tell_next(folder: Path, summary: dict[str, Any]) -> None:
    if summary["n_episodes"] < 100:
        say(f"next: more episodes narrow the interval (--episodes 200), or look inside: fewshot runs show {folder}")
    else:
        say(f"next: fewshot runs export {folder} -o items.csv")


@app.command("predict")
@with_options(Prompting, Server, Connection, TaskReading)
def predict(
    ctx: typer.Context,
    source: Texts,
    support: Support,
    seed: Seed = 0,
    output: Labels = None,
) -> None:
    """Label new texts: INPUT in, one row per text out, as JSON lines or as the suffix of -o says (.csv, .xlsx)."""
    from fewshot.cli.inputs import label_texts

    options = ctx.params
    label_texts(_learner(options), support, source, output, options, seed=seed, device=options["device"])


@app.command("preview")
@with_options(Prompting, Server, ReadingBesideText)
def preview(
    ctx: typer.Context,
    task: Task = "sentiment-ko",
    text: Annotated[str | None, typer.Option("--text", help="A text of your own as the query.")] = None,
    index: Annotated[int, typer.Option("--index", help="Which query of the episode.")] = 0,
    episode: Annotated[int, typer.Option("--episode", help="Which episode.")] = 0,
    way: Way = None,
    shot: Shot = 5,
    query: Query = 5,
    seed: Seed = 0,
    class_split: ClassSplit = None,
    part: Part = "test",
    as_json: AsJson = False,
) -> None:
    """Show the exact prompt, its demonstrations and the tokens where the label begins. Runs no model."""
    from evals.content import TOKENS
    from evals.learner import Context, require_modality
    from evals.relevance import Decisions, decisions
    from evals.types import Query as QueryText
    from fewshot.cli import experiment
    from icl.learner import ICLLearner

    loaded = experiment.prepare_task(task, reading=ReadingBesideText.of(ctx.params, task))
    require_modality("a prompt", ("text",), loaded.info)
    sampler = experiment.build_sampler(loaded, experiment.Episodes(way, shot, query, 1, seed, class_split, part))
    problem = sampler[episode].problem
    if text is not None:
        tokens = {TOKENS: list(text)} if loaded.info.kind == "tagging" else {}
        problem = replace(problem, queries=(QueryText("q0", text, tokens),))
        index = 0
    if not 0 <= index < len(problem.queries):
        raise UsageError(f"--index {index}: the episode has {len(problem.queries)} queries, numbered from 0")
    learner = _learner(ctx.params).for_task(loaded.info, loaded.labels)
    if isinstance(learner, Decisions):
        learner, asked = learner.learner, decisions(problem)
        problem = asked[0]
        say(f"one of {len(asked)} decisions per text: {problem.labels[1].name}, or anything else")
    assert isinstance(learner, ICLLearner)
    context = Context(device=ctx.params["device"], seed=seed, notify=say)
    seen = learner.preview(problem, index, context)
    if as_json:
        show_json(asdict(seen))
        return
    show(seen.shown)
    show()
    boundaries = seen.boundaries or [()] * len(seen.continuations)  # hosted models do not show their tokens
    labels = problem.labels if seen.continuations else ()
    rows = [
        [label.name, repr(continuation), " | ".join(f"{token!r} {ident}" for ident, token in boundary)]
        for label, continuation, boundary in zip(labels, seen.continuations, boundaries, strict=True)
    ]
    if rows:
        show_table(["label", "continuation", "tokens at the boundary"], rows)
    show(f"demonstrations: {', '.join(seen.query.demonstrations) or 'none'}")
    if seen.query.n_dropped:
        show(f"{seen.query.n_dropped} demonstrations do not fit and are dropped")
    whole = f"; the whole episode: {seen.trie_size} tokens to compute" if seen.trie_size is not None else ""
    show(f"prompt: {seen.n_tokens} tokens{whole}")
    for note in seen.notes:
        show(f"note: {note}")


@app.command("select")
@with_options(ReadingBesideText)
def select(
    ctx: typer.Context,
    text: Annotated[str | None, typer.Option("--text", help="The query; none for a choice that serves all.")] = None,
    task: Task = "sentiment-ko",
    selector: Selector = "knn",
    count: Annotated[int, typer.Option("-k", "--count", help="How many examples.")] = 5,
    encoder: Encoder = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Pick examples for a text, or for whatever text will come, from all labelled rows of a task.

    Of a task that has a split, these are its train rows.
    """
    from evals.learner import require_modality
    from fewshot.cli.experiment import prepare_task
    from fewshot.core.catalog import SELECTORS
    from icl.selectors import Pick, Pool

    if count < 1:
        raise UsageError(f"--count {count} is too small; use 1 or more")
    loaded = prepare_task(task, reading=ReadingBesideText.of(ctx.params, task))
    require_modality("a selector", ("text",), loaded.info)
    pool = loaded.rows.get("train") or next(iter(loaded.rows.values()))
    chosen = SELECTORS.build(selector, encoder=encoder)
    examples = Pool(tuple(pool), loaded.info.language)
    if text is None:
        picked = [Pick(example) for example in chosen.choose(examples, count, [seed])]
    else:
        picked = chosen.select([text], examples, count, [seed])[0]
    for note in chosen.notes(examples):
        say(note)
    if as_json:
        show_json([{"id": x.id, "label": x.label, "similarity": s, "text": x.text} for x, s in picked])
        return
    show_table(
        ["id", "label", "similarity", "text"],
        [[x.id, x.label, "-" if s is None else f"{s:.3f}", x.text] for x, s in picked],
        right=["similarity"],
    )


app.command("metatrain")(metatrain)
app.command("crosslingual")(crosslingual)
