"""The language of texts of which no card tells it: no more than the choice of models needs to know."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from evals.types import Problem

#: BCP 47 for a language that is not known.
UNKNOWN = "und"
#: And for what is in no language: images.
NONE = "zxx"
#: Share of Hangul among the letters from which texts count as Korean.
_HANGUL_SHARE = 0.2
#: Syllables, their parts, and parts that stand alone, as in laughter.
_HANGUL = (("\uac00", "\ud7a3"), ("\u1100", "\u11ff"), ("\u3130", "\u318f"))
#: The last letter of the Latin script, extensions included.
_LAST_LATIN = "\u024f"
#: Share of words with accents and the like from which Latin texts are not English.
_ACCENTED_SHARE = 1 / 8
#: The commonest words of English, and of others in the same script.
_ENGLISH, *_OTHERS = (
    frozenset(words.split())
    for words in (
        "the is are was my you your it of and for what how can please not with this that have at be",
        "der die das und ich ist nicht ein eine mein meine wie zu den mir bitte es auf mit wann sie wo",
        "le la les et je est pas un une mon ma de des pour que vous ne dans du comment",
        "el la los y que es un una mi de por para con como quiero se del en",
        "o os e que um uma meu minha de por para com como quero da em",
        "il lo gli che non un una mio mia di per con come voglio del",
        "de het een en ik niet mijn van voor met hoe kan wat op",
        "jag och det att en ett inte min hur kan vad med han er ikke jeg",
        "yang dan di saya tidak untuk dengan ini itu apa bagaimana bisa ke dari",
    )
)


def guess_language(texts: Iterable[str]) -> str:
    """Korean by its script, or English by that and its commonest words; unknown for anything else."""
    shown = list(texts)
    letters = [char for text in shown for char in text if char.isalpha()]
    hangul = sum(any(first <= char <= last for first, last in _HANGUL) for char in letters)
    if letters and hangul / len(letters) > _HANGUL_SHARE:
        return "ko"
    latin = sum(char <= _LAST_LATIN for char in letters) >= len(letters) / 2
    return "en" if latin and _reads_like_english(shown) else UNKNOWN


def _reads_like_english(texts: Sequence[str]) -> bool:
    """Whether nothing speaks for another language in the Latin script."""
    words = Counter(word for text in texts for word in re.findall(r"\w+", text.casefold()))
    english, *others = (sum(words[word] for word in known) for known in (_ENGLISH, *_OTHERS))
    accented = sum(n for word, n in words.items() if any("\u00bf" < char <= _LAST_LATIN for char in word))
    return english >= max(others) and accented <= _ACCENTED_SHARE * words.total()


def with_language(problem: Problem) -> Problem:
    """The problem with the language of its support, where that of its task is unknown."""
    if problem.task.language != UNKNOWN:
        return problem
    language = guess_language(example.text for example in problem.support)
    return replace(problem, task=replace(problem.task, language=language))
