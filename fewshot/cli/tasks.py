"""`fewshot tasks`: list, show, begin and check tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot.cli.groups import with_options
from fewshot.cli.output import offline, say, show, show_json, show_table
from fewshot.cli.reading import TaskReading
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from evals.task import Task

app = typer.Typer(no_args_is_help=True, help="Tasks: what is classified.")

_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

#: Pairs of near copies that are shown, and characters of each of their texts.
_EXAMPLES, _LONGEST = 3, 60

_NEW_CARD = """\
# A task card. Every value is read as it is written: yes, no, 012 and null are labels like any other.
name: {name}
language: ko            # BCP 47
title: One line about the data
instruction: 다음 글을 분류하세요.
input_name: 글           # what an input is called in the prompt
output_name: 분류        # what a label is called in the prompt

# Leave `labels` out to take them from the data. A bare word is the verbalizer: the word that stands for the label.
labels:
  positive: 긍정
  negative:
    verbalizer: 부정
    description: 글쓴이가 불만족했다     # used by zero-shot methods
    aliases: ["0", neg]               # other values in the data that mean this label

# Rows: a file, or a folder with train and test (or all) as .jsonl, .jsonl.gz, .csv, .tsv, .xlsx or .parquet.
# It is looked for in $FEWSHOT_DATA and beside this card.
source:
  path: {name}
  text: text
  label: label
  # encoding: cp949      # of files of text; found out where it is left out
  # sheet: Sheet1        # of an .xlsx file
"""


@app.command("ls")
def list_tasks(as_json: _JSON = False) -> None:
    """List the tasks that are shipped, and whether their rows are here."""
    from evals.card import packaged_cards, read_card
    from evals.loading import has_local_rows

    rows = []
    for name, path in packaged_cards().items():
        card = read_card(path)
        variants = [variant for variant in card.variants if variant != card.default_variant]
        rows.append(
            {
                "name": name,
                "language": card.language,
                "labels": len(card.labels),
                "variants": variants,
                "rows": "here" if has_local_rows(card) else "hub" if card.source.hub else "$FEWSHOT_DATA",
                "title": card.title,
            }
        )
    if as_json:
        show_json(rows)
        return
    show_table(
        ["task", "language", "rows", "about"],
        [[row["name"], row["language"], row["rows"], row["title"]] for row in rows],
    )
    show("A path to a .csv, .tsv, .jsonl, .xlsx or .parquet file with the columns text and label is a task as well.")


@app.command("show")
@with_options(TaskReading)
def show_task(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="Task name or path.")], as_json: _JSON = False
) -> None:
    """Show labels, sizes and fingerprints of a task."""
    from evals.kinds import kind_named
    from evals.loading import load_task

    task = load_task(name, offline=offline(), **TaskReading.of(ctx.params, name).for_source(name))
    rows = {part: len(rows) for part, rows in task.rows.items()}
    kind = kind_named(task.info.kind)
    labelled = (row.label for rows in task.rows.values() for row in rows if row.label is not None)
    counts = Counter(name for gold in labelled for name in kind.names(gold))
    splits = {name: {part: len(names) for part, names in split.items()} for name, split in task.class_splits.items()}
    document = {
        "name": task.name,
        "language": task.info.language,
        "kind": task.info.kind,
        "instruction": task.info.instruction,
        "labels": [{**asdict(label), "rows": counts[label.name]} for label in task.labels],
        "rows": rows,
        "class_splits": splits,
        "notes": list(task.notes),
        "data_fingerprint": task.data_fingerprint,
        "card_fingerprint": task.card_fingerprint,
    }
    if as_json:
        show_json(document)
        return
    show(f"{task.name} ({task.info.language}, {task.info.kind}): {task.info.instruction}")
    show(f"rows: {', '.join(f'{count} {part}' for part, count in rows.items())}")
    for split, parts in splits.items():
        show(f"class split {split}: {', '.join(f'{count} {part}' for part, count in parts.items())} classes")
    for note in task.notes:
        show(f"note: {note}")
    if task.labels:
        shown = [[label.name, label.verbalizer, counts[label.name]] for label in task.labels]
        show_table(["label", "verbalizer", "rows"], shown, right=["rows"])
    show(f"data {task.data_fingerprint[:16]}  card {task.card_fingerprint[:16]}")


@app.command("new")
def new_task(name: Annotated[str, typer.Argument(help="Name of the task.")]) -> None:
    """Write a commented card NAME.yaml to begin with."""
    from fewshot.core.paths import safe_name, write_atomically

    path = Path(f"{safe_name(name, 'task name')}.yaml")
    if path.exists():
        raise UsageError(f"{path} exists already; remove it or choose another name")
    write_atomically(path, _NEW_CARD.format(name=name), mode=0o666)
    show(str(path))
    say(f"put the rows into {name}/train.csv and {name}/test.csv (or {name}/all.csv), then: fewshot tasks check {path}")


@app.command("check")
@with_options(TaskReading)
def check_task(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Task name or path.")]) -> None:
    """Check a card and its data: labels, sizes, duplicates, leaks. Exit code 2 if it cannot be used."""
    from evals.loading import load_task
    from fewshot.cli.experiment import Episodes, answering, build_sampler

    task = load_task(name, offline=offline(), **TaskReading.of(ctx.params, name).for_source(name))
    for note in (*task.notes, *_near_copies(task)):
        show(f"note: {note}")
    build_sampler(task, Episodes(way=None, shot=1, query=1, episodes=1, seed=0, class_split=None, part="test"))
    show(f"{task.name}: {sum(map(len, task.rows.values()))} rows, {len(task.labels)} labels, usable")
    if not answering(task.info.kind):
        show(f"note: no learner here answers {task.info.kind} tasks; one of your own can (file.py:Class)")


def _near_copies(task: Task) -> Iterator[str]:
    """One sentence, if there are rows that nearly repeat another one: they may be shown and asked in one episode."""
    from evals.content import whole_text
    from evals.copies import near_copies

    texts = [whole_text(row) for row in task.visible_rows()]
    pairs = [(one, other) for one, other, _ in near_copies(texts)]
    if pairs:
        shown = [f"{_shortened(texts[one])} and {_shortened(texts[other])}" for one, other in pairs[:_EXAMPLES]]
        yield (
            f"{len({at for pair in pairs for at in pair})} rows are nearly the same as another one, "
            f"but for spaces, repetitions, marks or a few characters, and stay: {'; '.join(shown)}"
        )


def _shortened(text: str) -> str:
    """The beginning of a text on one line, in quotes."""
    words = " ".join(text.split())
    return f"'{words}'" if len(words) <= _LONGEST else f"'{words[:_LONGEST]}...'"
