"""Messages in the words of whoever reads them: options of the command line, or arguments of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fewshot.core.errors import FewshotError

#: Values of options that have no registry. Names of parts are asked of theirs.
_WORDS = frozenset(
    {
        *("all", "auto", "none", "completion", "chat", "sum", "mean", "bytes", "local", "ray"),
        *("cpu", "cuda", "mps", "float32", "bfloat16", "float16"),
    }
)
#: An option, or a command of the shell, which stays as it is.
_OPTION = re.compile(r"\b(?:fewshot|pip) [a-z][^.,;`)]*|(?<![\w-])--([a-z][a-z-]*)(?!\w)")
_VALUE = re.compile(r" ('[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?(?![\w.]*\w)|[a-z](?:[\w:/@.=-]*\w)?)")
_OTHER = re.compile(r"(?:,| or)( '[^']*'| [a-z][\w-]*)")


def in_python(message: str) -> str:
    """A message that speaks of options, speaking of arguments.

    >>> in_python("no log-probabilities; use --method generate or structured")
    'no log-probabilities; use method="generate" or "structured"'
    >>> in_python("--demos -1 is negative; use 0 for none")
    'demos=-1 is negative; use 0 for none'
    >>> in_python("so --max-cost cannot be kept")
    'so max_cost cannot be kept'
    """
    written, at = [], 0
    while (option := _OPTION.search(message, at)) is not None:
        name = option[1].replace("-", "_") if option[1] else option[0]
        written += [message[at : option.start()], name]
        at = option.end()
        if option[1] is None or (value := _VALUE.match(message, at)) is None or not _is_value(value[1]):
            continue
        written.append(f"={_quoted(value[1])}")
        at = value.end()
        while (other := _OTHER.match(message, at)) is not None and _is_value(word := other[1].strip()):
            written.append(message[at : other.start(1)] + f" {_quoted(word)}")
            at = other.end()
    return "".join([*written, message[at:]])


@contextmanager
def speaking_python() -> Iterator[None]:
    """Errors of ours that pass through speak of arguments of Python instead of options of the command line."""
    try:
        yield
    except FewshotError as error:
        error.args = tuple(in_python(part) if isinstance(part, str) else part for part in error.args)
        raise


def _is_value(word: str) -> bool:
    from fewshot.core import catalog

    families = (catalog.SCORERS, catalog.CALIBRATORS, catalog.SELECTORS, catalog.ORDERINGS, catalog.MODELS)
    named = word in _WORDS or any(word.split(":")[0] in family.entries() for family in families)
    return named or not word[0].isalpha()


def _quoted(word: str) -> str:
    return f'"{word}"' if word[0].isalpha() else word
