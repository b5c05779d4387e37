"""Reports of comparisons: a page, tables in other formats, charts in the terminal."""

from evals.report.tables import require_format, write_report
from evals.report.terminal import intervals

__all__ = ["intervals", "require_format", "write_report"]
