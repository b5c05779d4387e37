"""`fewshot runs`: what was run, how it came out, and its items."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from fewshot.cli.output import complain, say, show, show_json, show_table
from fewshot.core.errors import FewshotError, MissingExtra, UsageError
from fewshot.core.paths import opened_atomically
from fewshot.core.spreadsheets import disarmed

app = typer.Typer(no_args_is_help=True, help="Runs: what was done and how it came out.")

_Folder = Annotated[Path, typer.Argument(help="The run's folder.")]


@app.command("ls")
def list_runs(
    folder: Annotated[Path, typer.Option("--run-dir", help="Folder of the runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the runs below a folder, oldest first."""
    from evals.results import summarise
    from evals.store import Store

    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*/run.sqlite")):
        try:
            with Store.read(path.parent) as store:
                rows.append(summarise(store))
        except FewshotError as error:
            complain(f"{path.parent}: {error}")
    if as_json:
        show_json(rows)
        return
    show_table(
        ["run", "task", "learner", "way", "shot", "episodes", "score"],
        [
            [Path(r["run_dir"]).name, r["task"], r["learner"], r["way"], r["shot"], r["n_episodes"], _mean(r)]
            for r in rows
        ],
        right=["way", "shot", "episodes", "score"],
    )


def _mean(summary: dict[str, Any]) -> str:
    found = summary.get("accuracy") or summary.get("score")
    if not found:
        return "-"
    low, high = found["ci95"]
    return f"{found['mean']:.3f} ({low:.3f} to {high:.3f})"


@app.command("show")
def show_run(
    run: _Folder, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Show the result of a run, its recall per class and its notes."""
    from evals.results import summarise
    from evals.store import Store
    from fewshot.cli.experiment import show_summary

    with Store.read(run) as store:
        summary = summarise(store)
    show_summary(summary, as_json)
    if as_json:
        return
    recall = summary.get("recall") or {}
    rows = [[name, "-" if value is None else f"{value:.3f}"] for name, value in recall.items()]
    show_table(["class", "recall"], rows, right=["recall"])
    for note in dict.fromkeys(summary["notes"]):  # a resumed run says some things again
        show(f"note: {note}")


@app.command("export")
def export_run(
    run: _Folder,
    output: Annotated[Path, typer.Option("--output", "-o", help=".csv, .jsonl or .parquet")],
    learner: Annotated[str | None, typer.Option("--learner", help="Only this learner.")] = None,
    raw_csv: Annotated[
        bool, typer.Option("--raw-csv", help="Leave cells as they are that a spreadsheet would run.")
    ] = False,
) -> None:
    """Write one row per query: episode, ids, gold, answer, status, scores."""
    writers = {".csv": partial(_write_csv, raw=raw_csv), ".jsonl": _write_jsonl, ".parquet": _write_parquet}
    if output.suffix not in writers:
        raise UsageError(f"-o {output}: use {', '.join(writers)}")
    with opened_atomically(output) as file:
        count = writers[output.suffix](_items(run, learner), file)
    say(f"{count} rows: {output}")


def _items(run: Path, only: str | None) -> Iterator[dict[str, Any]]:
    """One flat record per query and learner."""
    from evals.rundir import read_config
    from evals.store import Store

    with Store.read(run) as store:
        names = list(read_config(store)["learners"])
        if only is not None and only not in names:
            raise UsageError(f"{run} holds no learner {only!r}; it holds {', '.join(names)}")
        episodes = {record.problem_id: record for record in store.episodes()}
        for name in [only] if only else names:
            for prediction, _ in store.predictions(name):
                record = episodes[prediction.problem_id]
                for at, answer in enumerate(prediction.answers):
                    yield {
                        "learner": name,
                        "episode": record.index,
                        "query_id": record.query_ids[at],
                        "gold": _plain(record.gold[at]),
                        "decision": _plain(answer.decision),
                        "status": str(answer.status),
                        "scores": json.dumps(dict(zip(record.labels, answer.scores, strict=True)), ensure_ascii=False)
                        if answer.scores
                        else "",
                        "detail": answer.detail,
                    }


def _plain(value: Any) -> str:
    """A gold or decision in one cell: lists of labels or tags as JSON, none as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_csv(items: Iterator[dict[str, Any]], file: IO[bytes], *, raw: bool) -> int:
    """CSV in which no cell is a formula: a leading quote disarms those that begin like one."""
    count = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer: csv.DictWriter[str] | None = None
    for item in items:
        count += 1
        if writer is None:
            writer = csv.DictWriter(text, list(item))
            writer.writeheader()
        writer.writerow(item if raw else {key: disarmed(value) for key, value in item.items()})
    text.detach()
    return count


def _write_jsonl(items: Iterator[dict[str, Any]], file: IO[bytes]) -> int:
    count = 0
    for item in items:
        count += 1
        file.write(f"{json.dumps(item, ensure_ascii=False)}\n".encode())
    return count


def _write_parquet(items: Iterator[dict[str, Any]], file: IO[bytes]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("writing Parquet files", "data") from error
    table = pa.Table.from_pylist(list(items))
    parquet.write_table(table, file)
    return table.num_rows
