"""`fewshot classic`: train small learners, test them on episodes, label new texts with them."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.groups import with_options
from fewshot.cli.options import (
    PRESENTATION,
    AsJson,
    ClassSplit,
    Device,
    DryRun,
    Episodes,
    Labels,
    Part,
    Queries,
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
from fewshot.cli.output import say, show, show_json
from fewshot.cli.reading import Reading, TaskReading
from fewshot.cli.sinusoid import sinusoid
from fewshot.core.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from evals.learner import Learner

app = typer.Typer(no_args_is_help=True, help="Meta-learning and small learners: classify by training.")
app.command("sinusoid")(sinusoid)

Algorithm = Annotated[
    str | None,
    typer.Option("--algorithm", "-a", help="Learner, with its parameters: protonet, maml:inner_lr=0.5, probe ..."),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        help="Frozen: auto, lexical, use-m3, minilm, e5-small, hf:ORG/NAME; of images pixels, of time series steps. "
        "Trained: ngrams, cnn, gru, transformer, hub:ORG/NAME; of images conv4, of time series series."
    ),
]
Train = Annotated[str | None, typer.Option("--train", help="Tasks to be trained on instead, joined by +.")]
Steps = Annotated[int | None, typer.Option("--steps", help="Outer steps at most; default: the learner's.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of parameters and episodes.")]
From = Annotated[Path | None, typer.Option("--from", help="Folder of a trained learner.")]

#: And what is proposed where the packages of the default are not here.
_DEFAULT, _LIGHT = "protonet", "probe:encoder=lexical"


@app.command("train")
@with_options(TaskReading)
def train(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the trained learner.")],
    task: Annotated[str, typer.Option("--task", "-t", "--test", help="Task that will be tested.")] = "intents-en",
    algorithm: Algorithm = None,
    encoder: Encoder = None,
    train: Train = None,
    class_split: ClassSplit = None,
    way: Way = None,
    shot: Shot = 5,
    steps: Steps = None,
    seed: Seed = 0,
    device: Device = "auto",
    tracker: Tracker = None,
    as_json: AsJson = False,
) -> None:
    """Meta-train a learner on the training classes of a task, or on other tasks.

    The best parameters on the validation classes are kept. Repeat the command to go on with a training that was
    interrupted. Several GPUs: torchrun --nproc-per-node N -m fewshot classic train ...
    """
    from evals.learner import Context, MetaLearner
    from evals.metatrain import ensure_trained
    from evals.runner import interruptible
    from evals.trackers import track
    from fewshot.cli import experiment

    learner = _learner(algorithm or _DEFAULT, seed, encoder=encoder, train=train, steps=steps)
    if not isinstance(learner, MetaLearner):
        raise UsageError(f"{learner.name} is not meta-trained; run it at once: fewshot classic run -a {learner.name}")
    if (out / "learner.json").is_file():
        raise UsageError(f"{out} already holds a trained learner; use it with --from {out}, or choose another --out")
    read = partial(experiment.prepare_task, reading=Reading.of(ctx.params, task, train))
    loaded = experiment.prepare_task(task, reading=TaskReading.of(ctx.params, task, train))
    sampler = experiment.build_sampler(loaded, experiment.Episodes(way, shot, 1, 1, seed, class_split, "test"))
    try:
        with track(tracker or (), out.name, learner.describe(), say) as tracking:
            context = Context(device=device, seed=seed, notify=say, track=tracking.log)
            with interruptible(context):
                ensure_trained(learner, sampler, context, read, out)
            tracking.finish({})
    except KeyboardInterrupt:
        say(f"the training is kept in {out}; repeat the command to go on")
        raise
    _show_training(out, as_json)


@app.command("run")
@with_options(TaskReading)
def run(
    ctx: typer.Context,
    task: Task = "intents-en",
    algorithm: Algorithm = None,
    source: From = None,
    encoder: Encoder = None,
    train: Train = None,
    class_split: ClassSplit = None,
    way: Way = None,
    shot: Shot = 5,
    query: Queries = None,
    episodes: Episodes = 600,
    part: Part = "test",
    query_balance: QueryBalance = "equal",
    steps: Steps = None,
    seed: Seed = 0,
    device: Device = "auto",
    run_dir: RunDir = Path("runs"),
    resume: Resume = None,
    trust: Trust = False,
    tracker: Tracker = None,
    as_json: AsJson = False,
    output: Result = None,
    dry_run: DryRun = False,
) -> None:
    """Test a learner on the episodes of a task, beside the baselines. One that needs meta-training is trained first."""
    from evals.learner import Context
    from evals.metatrain import LEARNER_FOLDER, ensure_trained
    from evals.rundir import new_run_dir
    from evals.runner import interruptible
    from evals.store import FILE_NAME
    from evals.trackers import track
    from fewshot.cli import experiment
    from fewshot.core.consent import remember

    options = {key: value for key, value in ctx.params.items() if key not in PRESENTATION}
    options["source"] = str(source) if source else None
    # A run that was interrupted in training has no episodes yet: there, the same command is given again.
    begun = resume is not None and (resume / FILE_NAME).is_file()
    if resume is not None and begun:
        options = experiment.resumed_options(ctx, resume, options, trust=trust)
        resume, output = experiment.return_to(ctx, experiment.begun_in(resume), [options["task"]], resume, output)
    wanted = experiment.Episodes(**{field.name: options[field.name] for field in fields(experiment.Episodes)})
    named = {name: options[name] for name in ("encoder", "train", "steps")}
    learner = _learner(options["algorithm"], wanted.seed, options["source"], trust=trust, **named)
    read = partial(experiment.prepare_task, reading=Reading.of(options, options["task"], options["train"]))
    reading = TaskReading.of(options, options["task"], options["train"])
    loaded = experiment.prepare_task(options["task"], output=output, reading=reading)
    sampler = experiment.build_sampler(loaded, wanted)
    context = Context(device=options["device"], seed=wanted.seed, notify=say)
    experiment.describe_plan(loaded, sampler, wanted.episodes, learner, context)
    if dry_run:
        return
    folder = resume or new_run_dir(run_dir, loaded.name, learner.name)
    remember(options, folder)
    with track(tracker or (), folder.name, options, say) as tracking:
        context = replace(context, track=tracking.log)
        try:
            with interruptible(context):
                learner = ensure_trained(learner, sampler, context, read, folder / LEARNER_FOLDER)
        except KeyboardInterrupt:
            say(f"the training is kept; repeat the command with --resume {folder}")
            raise
        finished = experiment.run_and_show(
            learner,
            sampler,
            wanted.episodes,
            options,
            context,
            folder,
            baselines=experiment.baselines(loaded.info) | _untrained(learner),
            resume=begun,
            as_json=as_json,
            output=output,
        )
        tracking.finish(finished.result)
    experiment.require_answered(finished)


@app.command("predict")
@with_options(TaskReading)
def predict(
    ctx: typer.Context,
    texts: Texts,
    support: Support,
    source: From = None,
    trust: Trust = False,
    algorithm: Algorithm = None,
    encoder: Encoder = None,
    seed: Seed = 0,
    device: Device = "auto",
    output: Labels = None,
) -> None:
    """Label new texts by a few labelled ones: INPUT in, one row per text out, as JSON lines or by the suffix of -o."""
    from fewshot.cli.inputs import label_texts

    learner = _learner(algorithm, seed, source, trust=trust, encoder=encoder)
    label_texts(learner, support, texts, output, ctx.params, seed=seed, device=device)


def _learner(
    algorithm: str | None, seed: int, source: Path | str | None = None, *, trust: bool = False, **options: Any
) -> Learner:
    """The learner of a spec, with what other options say of it; with --from alone, the learner that is there.

    Args:
        trust: whether what a trained learner was trained with may do more than compute.
    """
    from classic.learners.meta import stored_name
    from fewshot.core.catalog import LEARNERS
    from fewshot.core.spec import Spec, parse_spec

    if algorithm is None:
        algorithm = stored_name(Path(source)) if source else _default()
    spec = parse_spec(algorithm)
    given = {name: value for name, value in options.items() if value is not None}
    if source is not None:
        # The trained learner knows its own seed; that of the episodes is another matter.
        given["from"] = str(source)
        return LEARNERS.build(Spec(spec.name, {**spec.params, **given}, spec.positional), trust=trust)
    return LEARNERS.build(Spec(spec.name, {**spec.params, **given}, spec.positional), seed=seed, trust=trust)


def _default() -> str:
    """The learner that is taken where none is named. Raises MissingExtra, with one that needs no packages."""
    from fewshot.core.catalog import LEARNERS

    try:
        LEARNERS.require(_DEFAULT)
    except MissingExtra as error:
        raise MissingExtra(f"-a {_DEFAULT}, the default,", *error.extras, instead=f"-a {_LIGHT}") from error
    return _DEFAULT


def _untrained(learner: Learner) -> dict[str, Learner]:
    """For a meta-learner on a frozen encoder: the prototypes of that encoder, which tell what training was worth."""
    from evals.learner import MetaLearner
    from fewshot.core.catalog import ENCODERS, LEARNERS
    from fewshot.core.spec import parse_spec

    learner.describe()  # takes up the arguments of a learner that is loaded
    encoder = getattr(learner, "encoder", None)
    if not isinstance(learner, MetaLearner) or not isinstance(encoder, str):
        return {}
    if parse_spec(encoder).name not in ENCODERS.entries():
        return {}
    return {"prototypes": LEARNERS.build({"name": "prototypes", "encoder": encoder})}


def _show_training(folder: Path, as_json: bool) -> None:
    import json

    document = json.loads((folder / "learner.json").read_text(encoding="utf-8"))
    if as_json:
        show_json(document)
        return
    training = document["training"]
    score = training["valid_accuracy"]
    show(f"{document['learner']}: best at step {training['best_step']} of {training['steps']}")
    if score is not None:
        show(f"accuracy on validation episodes {score:.3f}; tasks that diverged in training: {training['diverged']}")
    say(f"files: {folder} (curve.svg shows the learning curve)")
    say(f"next: fewshot classic run --from {folder}")
