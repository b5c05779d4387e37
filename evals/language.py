"""The language of texts of which no card tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from evals.types import Problem

#: BCP 47 for a language that is not known.
UNKNOWN = "und"
#: Share of Hangul among the letters from which texts count as Korean.
_HANGUL_SHARE = 0.2
#: Syllables, their parts, and parts that stand alone, as in laughter.
_HANGUL = (("\uac00", "\ud7a3"), ("\u1100", "\u11ff"), ("\u3130", "\u318f"))
#: The last letter of the Latin script, extensions included.
_LAST_LATIN = "\u024f"


def guess_language(texts: Iterable[str]) -> str:
    """Korean or English, by script; unknown for other scripts."""
    letters = [char for text in texts for char in text if char.isalpha()]
    hangul = sum(any(first <= char <= last for first, last in _HANGUL) for char in letters)
    if letters and hangul / len(letters) > _HANGUL_SHARE:
        return "ko"
    return "en" if sum(char <= _LAST_LATIN for char in letters) >= len(letters) / 2 else UNKNOWN


def with_language(problem: Problem) -> Problem:
    """The problem with the language of its support, where that of its task is unknown."""
    if problem.task.language != UNKNOWN:
        return problem
    language = guess_language(example.text for example in problem.support)
    return replace(problem, task=replace(problem.task, language=language))
