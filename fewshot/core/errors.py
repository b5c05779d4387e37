"""The errors that a user can meet. Each says what went wrong, where, and how to mend it.

The command line prints the message alone and leaves with `exit_code`; `--debug` shows the traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FewshotError(Exception):
    """Base of every error we raise on purpose. Exit code 1: something inside or below us failed."""

    exit_code = 1


class UsageError(FewshotError):
    """The request cannot be carried out as written: an option, a spec, a name. Exit code 2."""

    exit_code = 2


class TaskError(UsageError):
    """A task card or its data is unusable; the message names file and line."""


class TemplateError(UsageError):
    """A prompt template is unusable, or does not fit the task that names it."""


class ResumeMismatch(UsageError):
    """A run is resumed under another configuration; the message is the difference."""


class NotTrusted(UsageError):
    """What was read from a folder would do more than compute, and nobody consented; the message names each thing."""


class StorageError(FewshotError):
    """A file or folder cannot be read or written: full or read-only disk, corrupt run, locked run."""


class ModelUnavailable(FewshotError):
    """A model, its provider or its extra cannot be had here. Exit code 5."""

    exit_code = 5


class MissingExtra(ModelUnavailable):
    """A feature needs packages that are not installed. Exit code 2: the request is at fault until they are.

    Args:
        instead: an argument with which nothing would be missing.

    Attributes:
        extras: what is to be installed.
        remedy: what is wrong and how it is mended, without saying of what.
    """

    exit_code = 2

    def __init__(self, feature: str, extra: str, *others: str, instead: str | None = None) -> None:
        self.extras = (extra, *others)
        run = f'Run: pip install "fewshot[{",".join(self.extras)}]"'
        self.remedy = f"packages are missing. {run}"
        way_out = f", or take {instead}, which needs none of them" if instead else ""
        super().__init__(f"{feature} needs packages that are not installed. {run}{way_out}")


class OfflineError(ModelUnavailable):
    """`--offline` forbids the download that would be needed."""


class BudgetReached(FewshotError):
    """A limit on money, requests or time was reached; the run can be resumed. Exit code 6."""

    exit_code = 6


def is_fault_of_machine(error: BaseException | None) -> bool:
    """Whether this machine lacks something (a package, a library, a model, memory): never a learner's wrong answer."""
    if error is None:
        return False
    if isinstance(error, ImportError | ModelUnavailable | MemoryError):
        return True
    library = isinstance(error, OSError) and ("shared object" in str(error) or "dlopen" in str(error))
    return library or is_fault_of_machine(error.__cause__)


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """An error for a name nobody knows, with the nearest known names."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    all_known = f"Known: {', '.join(choices)}." if choices else "There are none."
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else all_known
    return UsageError(f"unknown {what} {name!r}. {hint}")
