"""`fewshot report` and `fewshot view`: results as a file to hand on, and in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot.cli.options import Trust
from fewshot.cli.output import say, show
from fewshot.core.errors import MissingExtra, UsageError
from fewshot.core.extras import is_installed


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of comparisons or of single runs.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help=".html, .md, .csv, .parquet, .tex or .json  [default: report.html, or report.md without the extra]",
        ),
    ] = None,
    csv_raw: Annotated[
        bool, typer.Option("--csv-raw", "--raw-csv", help="Leave cells as they are that a spreadsheet would run.")
    ] = False,
    token_scores: Annotated[
        bool, typer.Option("--token-scores", help="Run local models again for the scores of labels' tokens (.html).")
    ] = False,
    trust: Trust = False,
) -> None:
    """Write what runs came to: one page that needs no network, or a table."""
    from evals.comparison import Comparison
    from evals.report import require_format, write_report

    if output is None:
        output = Path(default_name())
        if output.suffix != ".html":
            say(f"left out: report.html: {MissingExtra('an HTML report', 'report').remedy}")
    require_format(output)
    comparison = Comparison.read(runs)
    write_report(comparison, output, csv_raw=csv_raw, token_scores=token_scores, trust=trust)
    for sentence in comparison.sentences():
        show(sentence)
    say(f"written: {output}")


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of comparisons or of single runs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help=".svg, .png or .pdf")],
    kind: Annotated[
        str, typer.Option("--kind", help="forest, curve (score against shots), pareto, reliability or confusion.")
    ] = "forest",
    shot: Annotated[int | None, typer.Option("--shot", help="Which table.  [default: the most shots]")] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Which task.  [default: the only one]")] = None,
) -> None:
    """Draw one chart of what runs came to, for a paper or a slide."""
    from evals.comparison import Comparison
    from evals.report.plot import require_picture

    require_picture(output)
    Comparison.read(runs).plot(kind, shot=shot, task=task).save(output)
    say(f"written: {output}")


def default_name() -> str:
    """Name of a report: a page, or a text where the packages of a page's charts are not here."""
    return "report.html" if is_installed("report") else "report.md"


def view(
    run_dir: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
) -> None:
    """Show the runs in a folder, and their reports, in the browser on this machine."""
    from evals.report.server import ReportServer

    if not run_dir.is_dir():
        raise UsageError(f"--run-dir {run_dir}: no such folder")
    try:
        server = ReportServer(run_dir, port)
    except OSError as error:
        raise UsageError(f"--port {port} cannot be used: {error.strerror}; 0 takes a free one") from error
    with server:
        show(server.address)
        say("Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")
