"""The result of a comparison as Markdown, CSV, Parquet, LaTeX and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evals.comparison import Comparison
from evals.comparison.analysis import Analysis, Standing
from evals.report.svg import cleaned
from fewshot.core.errors import MissingExtra, UsageError
from fewshot.core.paths import write_atomically
from fewshot.core.spreadsheets import disarmed

#: Formats of a report, by the name of its file.
FORMATS = (".html", ".md", ".csv", ".parquet", ".tex", ".json")
_COLUMNS = ("learner", "score", "95 % this pool", "95 % new texts", "letters", "not ok", "n", "s/query", "USD")
_LATEX = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def require_format(path: Path) -> None:
    """Refuse a file name that asks for a format nobody writes, before there is anything to lose.

    Raises:
        UsageError: with the formats.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"-o {path}: a report is written as {', '.join(FORMATS)}")


def write_report(comparison: Comparison, path: Path, *, csv_raw: bool = False, token_scores: bool = False) -> None:
    """Write a report in the format that the file's name asks for.

    Args:
        path: .html, .md, .csv, .parquet, .tex or .json.
        csv_raw: leave CSV cells as they are that a spreadsheet would run as formulas.
        token_scores: as in `evals.report.page.render`.

    Raises:
        UsageError: another format.
        MissingExtra: HTML without the chart library, or Parquet without pyarrow.
        StorageError: the file cannot be written, or a run is damaged.
    """
    require_format(path)
    writers: dict[str, Callable[[Comparison], str | bytes]] = {
        ".html": lambda found: _to_html(found, token_scores),
        ".md": to_markdown,
        ".csv": lambda found: to_csv(found.rows(), raw=csv_raw),
        ".parquet": _to_parquet,
        ".tex": to_latex,
        ".json": _to_json,
    }
    write_atomically(path, writers[path.suffix](comparison))


def to_markdown(comparison: Comparison) -> str:
    """The sentences, and one table for each task, way and shot."""
    blocks = [_markdown_text("\n\n".join(comparison.sentences()))]
    for analysis in comparison.analyses:
        rows = [[_markdown_text(cell) for cell in _cells(analysis, standing)] for standing in analysis.standings]
        ruler = [":--", *["--:"] * (len(_COLUMNS) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in ([*_COLUMNS], ruler, *rows)]
        blocks += [f"## {_markdown_text(_title(analysis))}", "\n".join(lines), _markdown_text(_legend(analysis))]
    return "\n\n".join([*blocks, *_absences(comparison)]) + "\n"


def to_latex(comparison: Comparison) -> str:
    """One `table` (package booktabs) for each task, way and shot."""
    blocks = ["% \\usepackage{booktabs}"]
    for analysis in comparison.analyses:
        rows = [[_latex_text(cell) for cell in _cells(analysis, standing)] for standing in analysis.standings]
        body = "\n".join(f"{' & '.join(row)} \\\\" for row in rows)
        head = " & ".join(map(_latex_text, _COLUMNS))
        blocks.append(
            "\\begin{table}\n\\centering\n"
            f"\\caption{{{_latex_text(_title(analysis))}. {_latex_text(_legend(analysis))}}}\n"
            f"\\begin{{tabular}}{{l{'r' * (len(_COLUMNS) - 1)}}}\n\\toprule\n{head} \\\\\n\\midrule\n{body}\n"
            "\\bottomrule\n\\end{tabular}\n\\end{table}"
        )
    return "\n\n".join(blocks) + "\n"


def to_csv(rows: Sequence[dict[str, Any]], *, raw: bool = False) -> str:
    """Flat rows as CSV.

    Args:
        raw: leave cells as they are that a spreadsheet would run as formulas; else a quote disarms them.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(row if raw else {key: disarmed(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _to_html(comparison: Comparison, token_scores: bool) -> str:
    from evals.report.page import render

    return render(comparison, token_scores=token_scores)


def _to_json(comparison: Comparison) -> str:
    return json.dumps(comparison.document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _to_parquet(comparison: Comparison) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("writing Parquet files", "data") from error
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(comparison.rows()), sink)
    return sink.getvalue().to_pybytes()


def _title(analysis: Analysis) -> str:
    table = analysis.table
    return f"{table.task}, {table.way}-way {table.shot}-shot"


def _legend(analysis: Analysis) -> str:
    table = analysis.table
    chance = "" if table.chance is None else f" Chance {100 * table.chance:.1f}."
    return (
        f"{table.metric} in percent over {table.n_episodes} episodes of {table.n_texts} texts.{chance} "
        "Learners that share a letter are not told apart on new texts. b: baseline; t: transductive, ranked apart."
    )


def _cells(analysis: Analysis, standing: Standing) -> list[str]:
    marks = [mark for mark, holds in (("b", standing.baseline), ("t", standing.transductive)) if holds]
    pool, new = standing.accuracy, standing.new_texts
    return [
        cleaned(standing.learner) + (f" ({', '.join(marks)})" if marks else ""),
        f"{100 * pool.mean:.1f}",
        f"{100 * pool.low:.1f} to {100 * pool.high:.1f}",
        f"{100 * new.low:.1f} to {100 * new.high:.1f}",
        standing.letters,
        f"{100 * standing.non_ok_rate:.1f}",
        str(standing.n_queries),
        f"{standing.seconds_per_query:.3g}",
        "unknown" if standing.usd is None else f"{standing.usd:.4g}",
    ]


def _absences(comparison: Comparison) -> list[str]:
    lines = [
        _markdown_text(f"- {missing.learner}, {missing.task}: {missing.status}: {missing.reason}")
        for missing in comparison.absent
    ]
    return ["## Left out", "\n".join(lines)] if lines else []


def _markdown_text(text: str) -> str:
    """Text that stays text: no markup, no HTML, no new column."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", cleaned(text))


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in cleaned(text))
