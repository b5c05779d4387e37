"""`fewshot icl metatrain`: train a language model to learn in context."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.groups import with_options
from fewshot.cli.options import AsJson, ClassSplit, Device, Shot, Tracker, Way
from fewshot.cli.output import offline, say, show, show_json
from fewshot.cli.reading import Reading, TaskReading
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from evals.learner import Learner
    from evals.metatrain import TrainingData


@with_options(TaskReading)
def metatrain(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the trained model; then: -m FOLDER.")],
    model: Annotated[str, typer.Option("--model", "-m", help="smollm2, hf:ORG/NAME, or a folder.")] = "smollm2",
    train: Annotated[str | None, typer.Option("--train", help="Tasks to be trained on, joined by +.")] = None,
    valid: Annotated[
        str | None, typer.Option("--valid", help="Tasks to stop early on, joined by +; default: held-out classes.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", "--test", help="Task that will be tested: its texts are left out.")
    ] = None,
    class_split: ClassSplit = None,
    way: Way = None,
    shot: Shot = 5,
    objective: Annotated[str, typer.Option(help="direct (label given text) or channel (text given label).")] = "direct",
    tune: Annotated[str, typer.Option(help="full, lora, or last:N for the last N layers.")] = "full",
    words: Annotated[
        str | None, typer.Option(help="Label words: canonical, permuted, synonyms, foreign, letters, random, by +.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Steps at most.")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Step size.")] = None,
    options: Annotated[
        str | None, typer.Option("--options", help="Further arguments of the learner: batch=16,examples=12.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn.")] = 0,
    device: Device = "auto",
    tracker: Tracker = None,
    as_json: AsJson = False,
) -> None:
    """Meta-train a language model on episodes of many classes (MetaICL), so that it learns new ones in context.

    The weights that are best on validation classes are kept. Repeat the command to go on with a training that was
    interrupted. What comes out is a model folder: name it wherever a model is named.
    """
    from evals.learner import Context
    from evals.metatrain import meta_train
    from evals.runner import interruptible
    from evals.trackers import track
    from fewshot.core.catalog import LEARNERS
    from fewshot.core.spec import Spec, parse_spec

    if (out / "learner.json").is_file():
        raise UsageError(f"{out} already holds a trained model; use it with -m {out}, or choose another --out")
    extra = parse_spec(f"metaicl:{options}").params if options else {}
    named = {"train": train, "words": words, "steps": steps, "lr": lr}
    given = {name: value for name, value in named.items() if value is not None}
    base = {"model": model.removeprefix("hf:"), "objective": objective, "tune": tune, "seed": seed}
    learner = LEARNERS.build(Spec("metaicl", {**base, **given, **extra}), offline=offline())
    data = _data(learner, task, valid, class_split, way, shot, ctx.params)
    try:
        with track(tracker or (), out.name, learner.describe(), say) as tracking:
            context = Context(device=device, seed=seed, notify=say, track=tracking.log)
            with interruptible(context):
                meta_train(learner, data, context, out)
            tracking.finish({})
    except KeyboardInterrupt:
        say(f"the training is kept in {out}; repeat the command to go on")
        raise
    _show_training(out, as_json)


def _data(
    learner: Learner,
    tested: str | None,
    valid: str | None,
    class_split: str | None,
    way: int | None,
    shot: int,
    options: Mapping[str, Any],
) -> TrainingData:
    """Episodes to train on and to stop early on, without texts of the tested task."""
    from dataclasses import replace
    from functools import partial

    from evals.metatrain import shapes, training_data
    from fewshot.cli.experiment import prepare_task

    read = partial(prepare_task, reading=Reading.of(options, tested, getattr(learner, "train", None), valid))
    names: str | None = getattr(learner, "train", None)
    sources = [read(name) for name in names.split("+")] if names else []
    task = prepare_task(tested, reading=TaskReading.of(options, tested)) if tested else None
    if not sources and task is None:
        raise UsageError("name the tasks to be trained on (--train TASK+TASK), or a task with class splits (--task)")
    split = (class_split or task.default_class_split()) if task else None
    train_shape, valid_shape = shapes(learner, way or 5, shot)
    data = training_data(train_shape, valid_shape, tested=task, class_split=split, sources=sources)
    if valid is None:
        return data
    others = [read(name) for name in valid.split("+")]
    return replace(data, valid=training_data(train_shape, valid_shape, tested=task, sources=others).valid)


def _show_training(folder: Path, as_json: bool) -> None:
    document = json.loads((folder / "learner.json").read_text(encoding="utf-8"))
    if as_json:
        show_json(document)
        return
    training = document["training"]
    show(f"metaicl: best at step {training['best_step']} of {training['steps']}")
    show(f"accuracy on validation episodes {training['valid_accuracy']:.3f}, before {training['accuracy_before']:.3f}")
    say(f"files: {folder} (curve.svg shows the learning curve)")
    say(f"next: fewshot icl run -m {folder}")
