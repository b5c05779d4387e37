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
from evals.comparison.analysis import Analysis, Pair, Standing
from evals.report.svg import cleaned
from evals.stats import Interval
from evals.wording import lead, p_number, percent, points
from fewshot.core.errors import MissingExtra, UsageError
from fewshot.core.paths import write_atomically
from fewshot.core.spreadsheets import disarmed

#: Formats of a report, by the name of its file.
FORMATS = (".html", ".md", ".csv", ".parquet", ".tex", ".json")
_COLUMNS = (
    *("learner", "score", "95 % this pool", "95 % new texts", "behind", "95 % behind, new texts", "p", "letters"),
    *("not ok", "n", "s/query", "USD"),
)
_LATEX = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def require_format(path: Path) -> None:
    """Refuse a file name that asks for a format nobody writes, before there is anything to lose.

    Raises:
        UsageError: with the formats.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"-o {path}: a report is written as {', '.join(FORMATS)}")


def write_report(
    comparison: Comparison, path: Path, *, csv_raw: bool = False, token_scores: bool = False, trust: bool = False
) -> None:
    """Write a report in the format that the file's name asks for.

    Args:
        path: .html, .md, .csv, .parquet, .tex or .json.
        csv_raw: leave CSV cells as they are that a spreadsheet would run as formulas.
        token_scores, trust: as in `evals.report.page.render`.

    Raises:
        UsageError: another format.
        MissingExtra: HTML without the chart library, or Parquet without pyarrow.
        StorageError: the file cannot be written, or a run is damaged.
    """
    require_format(path)
    writers: dict[str, Callable[[Comparison], str | bytes]] = {
        ".html": lambda found: _to_html(found, token_scores, trust),
        ".md": to_markdown,
        ".csv": lambda found: to_csv(flat_rows(found), raw=csv_raw),
        ".parquet": _to_parquet,
        ".tex": to_latex,
        ".json": _to_json,
    }
    write_atomically(path, writers[path.suffix](comparison), mode=0o666)


def to_markdown(comparison: Comparison) -> str:
    """Notes, the sentences, and one table for each task, way and shot."""
    blocks = [f"> {_markdown_text(note)}" for note in comparison.document["notes"]]
    blocks += [_markdown_text(sentence) for sentence in comparison.sentences()]
    for analysis in comparison.analyses:
        blocks.append(f"## {_markdown_text(_title(analysis))}")
        for standings in filter(None, analysis.blocks):
            cells = [[_markdown_text(cell) for cell in _cells(analysis, standing)] for standing in standings]
            columns = _columns(analysis)
            ruler = [":--", *["--:"] * (len(columns) - 1)]
            blocks.append("\n".join(f"| {' | '.join(row)} |" for row in (columns, ruler, *cells)))
        blocks.append(_markdown_text(_legend(analysis)))
    return "\n\n".join([*blocks, *_absences(comparison)]) + "\n"


def to_latex(comparison: Comparison) -> str:
    """Notes, and one `table` (package booktabs) for each task, way and shot."""
    blocks = ["% \\usepackage{booktabs}"]
    blocks += [f"\\noindent {_latex_text(note)}" for note in comparison.document["notes"]]
    for analysis in comparison.analyses:
        cells = (
            [[_latex_text(cell) for cell in _cells(analysis, standing)] for standing in standings]
            for standings in filter(None, analysis.blocks)
        )
        body = "\n\\midrule\n".join("\n".join(f"{' & '.join(row)} \\\\" for row in block) for block in cells)
        columns = _columns(analysis)
        head = " & ".join(map(_latex_text, columns))
        blocks.append(
            "\\begin{table}\n\\centering\n"
            f"\\caption{{{_latex_text(_title(analysis))}. {_latex_text(_legend(analysis))}}}\n"
            f"\\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}\n\\toprule\n{head} \\\\\n\\midrule\n{body}\n"
            "\\bottomrule\n\\end{tabular}\n\\end{table}"
        )
    return "\n\n".join(blocks) + "\n"


def flat_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The flat rows of a comparison, each with how far its learner is behind the best one of its table.

    The figures are shares; p is on new texts, Holm-adjusted. None for the best learner itself.
    """
    gaps = [analysis.behind(found.learner) for analysis in comparison.analyses for found in analysis.standings]
    return [
        {
            **row,
            "behind": gap and gap.difference.mean,
            "behind_low": gap and gap.difference.low,
            "behind_high": gap and gap.difference.high,
            "behind_low_new_texts": gap and gap.new_texts.low,
            "behind_high_new_texts": gap and gap.new_texts.high,
            "p_new_texts_holm": gap and gap.p_new_texts_holm,
        }
        for row, gap in zip(comparison.rows(), gaps, strict=True)
    ]


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


def _to_html(comparison: Comparison, token_scores: bool, trust: bool) -> str:
    from evals.report.page import render

    return render(comparison, token_scores=token_scores, trust=trust)


def _to_json(comparison: Comparison) -> str:
    return json.dumps(comparison.document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _to_parquet(comparison: Comparison) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("writing Parquet files", "data") from error
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(flat_rows(comparison)), sink)
    return sink.getvalue().to_pybytes()


def _title(analysis: Analysis) -> str:
    table = analysis.table
    return f"{table.task}, {table.way}-way {table.shot}-shot"


def _columns(analysis: Analysis) -> list[str]:
    """The headings, with two more where a figure is told over all items together."""
    pooled = analysis.table.pooled
    return [*_COLUMNS[:4], *([pooled, f"95 % {pooled}"] if pooled else []), *_COLUMNS[4:]]


def _legend(analysis: Analysis) -> str:
    table = analysis.table
    chance = "" if table.chance is None else f" Chance {percent(table.chance)}."
    chance += f" {table.pooled}: all texts of all episodes together." if table.pooled else ""
    return (
        f"{table.metric} in percent over {table.n_episodes} episodes of {table.n_texts} texts{table.uneven}.{chance} "
        "Behind: points to the best learner; p: on new texts, Holm-adjusted. Learners that share a letter are not told "
        "apart on new texts. b: baseline; t: transductive, read all queries of an episode together, ranked apart."
    )


def _cells(analysis: Analysis, standing: Standing) -> list[str]:
    marks = [mark for mark, holds in (("b", standing.baseline), ("t", standing.transductive)) if holds]
    if standing.n_episodes != analysis.table.n_episodes:
        marks.append(f"{standing.n_episodes} of {analysis.table.n_episodes} episodes")
    gap = analysis.behind(standing.learner)
    pooled = ["-", "-"] if standing.pooled is None else [percent(standing.pooled.mean), _range(standing.pooled)]
    return [
        cleaned(standing.learner) + (f" ({', '.join(marks)})" if marks else ""),
        percent(standing.accuracy.mean),
        _range(standing.accuracy),
        _range(standing.new_texts),
        *(pooled if analysis.table.pooled else []),
        *_behind(gap),
        standing.letters,
        percent(standing.non_ok_rate),
        str(standing.n_queries),
        f"{standing.seconds_per_query:.3g}",
        "unknown" if standing.usd is None else f"{standing.usd:.4g}",
    ]


def _behind(gap: Pair | None) -> list[str]:
    if gap is None:
        return ["-", "-", "-"]
    told = lead(gap.difference)
    return [told, "-", "-"] if gap.identical else [told, _range(gap.new_texts), p_number(gap.p_new_texts_holm)]


def _range(interval: Interval) -> str:
    return f"{points(interval.low)} to {points(interval.high)}"


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
