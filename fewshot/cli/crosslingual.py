"""`fewshot icl crosslingual`: support in one language, queries in another, every pair in one matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.answers import require_answers, tell_constant, tell_failures
from fewshot.cli.output import say, show, show_json, show_table
from fewshot.cli.reading import Drop, TaskReading
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from evals.task import Task

#: Classes per episode where none is asked for, as far as there are so many.
_USUAL_WAY = 5


def crosslingual(
    task: Annotated[
        str, typer.Option("--task", "-t", help="Task in several languages: sib200, intents, or news-{lang}.yaml.")
    ] = "intents",
    source: Annotated[str, typer.Option("--from", help="Languages of the support, such as en or en,de.")] = "en",
    target: Annotated[str, typer.Option("--to", help="Languages of the queries, such as ko,ja,de.")] = "ko",
    encoder: Annotated[
        str, typer.Option(help="auto (e5-small), use-m3, minilm (English), hf:ORG/NAME, lexical.")
    ] = "auto",
    pooling: Annotated[str | None, typer.Option(help="mean or cls; default: the encoder's.")] = None,
    layer: Annotated[int | None, typer.Option(help="Whose hidden states are pooled; default: the last.")] = None,
    centre: Annotated[
        str, typer.Option(help="Mean to take away: none, support, or language (transductive).")
    ] = "support",
    whiten: Annotated[
        float | None, typer.Option(help="Whiten, with this shrinkage of the covariance: above 0, at most 1.")
    ] = None,
    way: Annotated[int | None, typer.Option("--way", help="Classes per episode; default: all, at most 5.")] = None,
    shot: Annotated[int, typer.Option("--shot", help="Labelled texts per class; 0: label descriptions.")] = 5,
    query: Annotated[int, typer.Option("--query", help="Texts to label per class.")] = 5,
    episodes: Annotated[int, typer.Option("--episodes", "-n", help="How many episodes per pair.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the episodes.")] = 0,
    class_split: Annotated[
        str | None, typer.Option("--class-split", "--split", help="Class split such as 01; default: every class.")
    ] = None,
    part: Annotated[str, typer.Option("--part", help="train, valid or test.")] = "test",
    drop: Drop = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    run_dir: Annotated[Path, typer.Option(help="Folder in which the runs' folders are made.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the document there (.json).")] = None,
) -> None:
    """Classify texts in one language by labelled texts in another: the matrix of transfer, with 95% intervals.

    Every pair of languages gets the same sentences. A language to itself is the reference.
    """
    from evals.crosslingual import CrossLingualSampler, align, pair
    from evals.learner import Context
    from evals.rundir import new_run_dir
    from evals.runner import run
    from fewshot.cli.experiment import instead_of_resuming, write_result
    from fewshot.core.catalog import LEARNERS
    from fewshot.core.spec import Spec

    if output is not None and output.suffix != ".json":
        raise UsageError(f"-o {output}: the document is written as .json")
    sources, targets = _languages(source, "--from"), _languages(target, "--to")
    columns = list(dict.fromkeys([*sources, *targets]))
    options = {"encoder": encoder, "pooling": pooling, "layer": layer, "centre": centre, "whiten": whiten}
    learner = LEARNERS.build(Spec("crosslingual", options))
    reading = TaskReading(drop=drop)
    loaded = align([_loaded(task, language, output, reading) for language in columns])
    tasks = dict(zip(columns, loaded, strict=True))
    _tell_left_out(tasks)
    _warn_of_language(encoder, columns)
    way = way or min(_USUAL_WAY, len(tasks[columns[0]].labels_in(class_split, part)))
    pairs = [(one, other) for one in sources for other in columns]
    samplers = {
        (one, other): CrossLingualSampler(pair(tasks[one], tasks[other]), way, shot, query, seed, class_split, part)
        for one, other in pairs
    }
    context = Context(device=device, seed=seed, notify=say)
    cells: list[dict[str, Any]] = []
    for (one, other), sampler in samplers.items():
        say(f"{one} -> {other}: {episodes} episodes, {way}-way {shot}-shot")
        folder = new_run_dir(run_dir, sampler.task.name, learner.name)
        with instead_of_resuming("The same command begins again; vectors that were computed are kept"):
            finished = run(learner, sampler, episodes, run_dir=folder, ctx=context)
        cells.append({"from": one, "to": other, **finished.result})
    document = {
        "schema_version": cells[0]["schema_version"],
        "task": task,
        "from": sources,
        "to": columns,
        "learner": learner.describe(),
        "transductive": learner.transductive,
        "way": way,
        "shot": shot,
        "query": query,
        "seed": seed,
        "n_episodes": episodes,
        "chance": cells[0]["chance"],
        "cells": cells,
    }
    if output is not None:
        write_result(document, output)
    if as_json:
        show_json(document)
    else:
        _show_matrix(document)
    failures = []
    for cell in cells:
        name = f"{learner.name} ({cell['from']} -> {cell['to']})"
        tell_constant(name, cell["constant_predictor"])
        failures.append(tell_failures(name, cell["statuses"]))
    require_answers(*failures)


def _languages(value: str, option: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not names:
        raise UsageError(f"{option} {value!r} names no language")
    return list(dict.fromkeys(names))


def _loaded(task: str, language: str, output: Path | None, reading: TaskReading) -> Task:
    from evals.crosslingual import task_in
    from fewshot.cli.experiment import prepare_task

    return prepare_task(task_in(task, language), output=output, reading=reading)


def _tell_left_out(tasks: dict[str, Task]) -> None:
    for language, task in tasks.items():
        for note in task.notes:
            say(f"{language}: {note}")


def _warn_of_language(encoder: str, languages: list[str]) -> None:
    """Say so when an embedded encoder was not made for a language."""
    from fewshot.core.embedded import EMBEDDED
    from fewshot.core.spec import parse_spec

    known = EMBEDDED.get(parse_spec(encoder).name)
    foreign = [language for language in languages if known and language not in known.languages]
    if known and foreign:
        say(
            f"{known.name} reads {', '.join(known.languages)} only: expect little in {', '.join(foreign)}. "
            "Take a multilingual encoder: --encoder e5-small",
            style="yellow",
        )


def _show_matrix(document: dict[str, Any]) -> None:
    cells = {(cell["from"], cell["to"]): _cell(cell["accuracy"]) for cell in document["cells"]}
    show_table(
        ["from \\ to", *document["to"]],
        [[one, *(cells[one, other] for other in document["to"])] for one in document["from"]],
        title=f"{document['task']}: {document['way']}-way {document['shot']}-shot accuracy (95% interval)",
        right=document["to"],
    )
    show(
        f"chance {document['chance']:.3f}; {document['n_episodes']} episodes per pair over the same sentences; "
        "intervals: t over episodes"
    )
    if document["transductive"]:
        show("transductive: the mean of all queries of an episode was used; not comparable with inductive results")


def _cell(accuracy: dict[str, Any]) -> str:
    low, high = accuracy["ci95"]
    return f"{accuracy['mean']:.3f} ({low:.3f} to {high:.3f})"
