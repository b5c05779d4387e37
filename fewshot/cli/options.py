"""Options that several commands share: one name and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot.core.errors import UsageError

Task = Annotated[str, typer.Option("--task", "-t", help="Task name, card (.yaml), data file or folder.")]
Way = Annotated[int | None, typer.Option("--way", help="Classes per episode; default: all, at most 5.")]
Shot = Annotated[int, typer.Option("--shot", help="Labelled texts per class.")]
Query = Annotated[int, typer.Option("--query", help="Texts to label per class.")]
Queries = Annotated[
    int | None, typer.Option("--query", help="Texts to label per class; default: 15, or as many as every class has.")
]
Episodes = Annotated[int, typer.Option("--episodes", "-n", help="How many episodes.")]
ClassSplit = Annotated[
    str | None, typer.Option("--class-split", "--split", help="Class split such as 01; all for every class.")
]
Part = Annotated[str, typer.Option("--part", help="train, valid or test.")]
QueryBalance = Annotated[
    str,
    typer.Option(
        "--query-balance",
        help="equal: as many texts to label of each class. dirichlet[:ALPHA]: in proportions drawn per episode.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Tracker = Annotated[
    list[str] | None, typer.Option("--tracker", help="Send figures to tensorboard[:FOLDER] or mlflow[:EXPERIMENT].")
]

RunDir = Annotated[Path, typer.Option(help="Folder in which the run's folder is made.")]
Resume = Annotated[Path | None, typer.Option(help="Continue this run's folder.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let what was read from the folder do more than compute: run files and commands, read files, ask servers.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def _json_file(path: Path | None) -> Path | None:
    """Refuse another format before work starts, not after it."""
    if path is not None and path.suffix != ".json":
        raise UsageError(f"-o {path}: a result document is written as .json; for items use: fewshot runs export")
    return path


Result = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the result document (.json).", callback=_json_file)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; run no episode.")]

Texts = Annotated[
    str, typer.Argument(metavar="INPUT", help="Texts: .txt (one per line), .jsonl, .csv, .tsv, .xlsx, .parquet, or - .")
]
Support = Annotated[str, typer.Option("--support", help="Labelled texts: a file, or a task name.")]


def _labels_file(path: Path | None) -> Path | None:
    from fewshot.cli.labelled import require_labels_format

    return require_labels_format(path)


Abstain = Annotated[
    str | None,
    typer.Option("--abstain", metavar="P", help="Say unsure below this probability: 0.8, or accuracy=0.95."),
]
Labels = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write there (.jsonl, .csv, .xlsx) instead of stdout.", callback=_labels_file),
]

#: Parameters of a run that decide how it is shown or where it is kept, not what it is.
PRESENTATION = ("run_dir", "resume", "as_json", "output", "dry_run", "tracker", "trust")
