"""`fewshot icl`: prompt a language model on episodes, on new texts, or just look at the prompt."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any

import typer

from fewshot.cli.crosslingual import crosslingual
from fewshot.cli.output import say, show, show_json, show_table
from fewshot.core.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="In-context learning: classify by prompting a language model.")

Task = Annotated[str, typer.Option("--task", "-t", help="Task name, card (.yaml), data file or folder.")]
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
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Shot = Annotated[int, typer.Option("--shot", help="Labelled texts per class.")]
Way = Annotated[int | None, typer.Option("--way", help="Classes per episode; default: all, at most 5.")]
Query = Annotated[int, typer.Option("--query", help="Texts to label per class.")]
ClassSplit = Annotated[
    str | None, typer.Option("--class-split", "--split", help="Class split such as 01; all for every class.")
]
Part = Annotated[str, typer.Option("--part", help="train, valid or test.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of episodes, selection and order.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

#: Options that decide how a run is shown, not what it is.
_PRESENTATION = ("run_dir", "resume", "as_json", "output", "dry_run")


@app.command("run")
def run(
    ctx: typer.Context,
    task: Task = "sentiment-ko",
    model: Model = "smollm2",
    way: Way = None,
    shot: Shot = 5,
    query: Query = 5,
    episodes: Annotated[int, typer.Option("--episodes", "-n", help="How many episodes.")] = 20,
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
    run_dir: Annotated[Path, typer.Option(help="Folder in which the run's folder is made.")] = Path("runs"),
    resume: Annotated[Path | None, typer.Option(help="Continue this run's folder.")] = None,
    as_json: AsJson = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the result document (.json).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; run no episode.")] = False,
) -> None:
    """Classify the episodes of a task by prompting, beside the baselines."""
    from evals.learner import Context
    from evals.rundir import new_run_dir
    from evals.runner import run as run_episodes
    from fewshot.cli import experiment

    options = {key: value for key, value in ctx.params.items() if key not in _PRESENTATION}
    if resume is not None:
        options = experiment.resumed_options(resume, experiment.given_options(ctx, options))
    wanted = experiment.Episodes(**{field: options[field] for field in experiment.Episodes.__dataclass_fields__})
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


def _learner(options: dict[str, Any]):
    """The ICL learner that the options describe."""
    from fewshot.core.catalog import LEARNERS
    from fewshot.core.spec import Spec

    names = ("model", "selector", "order", "calibrate", "method", "normalize", "template", "format", "encoder")
    params = {name: options[name] for name in names}
    params |= {"dtype": options["dtype"], "device": options["device"]}
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
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Texts: .txt (one per line), .jsonl, .csv, or - .")],
    support: Annotated[str, typer.Option("--support", help="Labelled texts: a file, or a task name.")],
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
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there instead of stdout.")] = None,
) -> None:
    """Label new texts: INPUT in, one JSON line per text out."""
    from evals.adapters import EpisodeClassifier
    from fewshot.cli.experiment import prepare_task
    from fewshot.cli.inputs import BATCH, read_texts, write_predictions

    task = prepare_task(support)
    rows = [row for part in ("train", "all") for row in task.rows.get(part, ())]
    learner = _learner({**locals()})
    words: dict[Hashable, str] = {label.name: label.verbalizer for label in task.labels}
    classifier = EpisodeClassifier(
        learner, task=task.info, verbalizers=words, batch_size=BATCH, seed=seed, device=device
    )
    classifier.fit([row.text for row in rows], [row.label for row in rows])
    write_predictions(classifier, read_texts(source, sys.stdin.buffer), output)


@app.command("preview")
def preview(
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
    from dataclasses import asdict, replace

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
    learner = _learner({**locals()})
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
