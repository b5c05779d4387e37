"""Texts that are nearly the same: copies that a comparison of whole texts does not find."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from evals.content import whole_text
from evals.types import Problem
from fewshot.core.hashing import text_key

#: Characters that are compared at a time.
_LENGTH = 5
#: Marks and single Hangul letters say the same once and often (!!, ㅠㅠ), other letters the same twice and more often
#: (haha, hahaha), but not always the same once and twice (L, LL). The number of digits always matters.
_MARKS = re.compile(r"([\W_\u1100-\u11ff]{1,2}?)\1+")
_LETTERS = re.compile(r"([^\W\d_]{1,2}?)\1{2,}")
_MARKS_AT_THE_END = ".,!?~。、"


def rough_key(text: str) -> str:
    """The `text_key` without what writers vary at will: spaces, repetitions, and marks at the end.

    >>> rough_key("재밌어요 ㅠㅠㅠ!!") == rough_key("재밌어요ㅠㅠ")
    True
    """
    key = _LETTERS.sub(r"\1\1", _MARKS.sub(r"\1", "".join(text_key(text).split())))
    return key.rstrip(_MARKS_AT_THE_END) or key


def near_copies(texts: Sequence[str], threshold: float = 0.9) -> Iterator[tuple[int, int, float]]:
    """Pairs of texts that share most of their character 5-grams.

    Exact, without comparing all pairs: sets that are so much alike share one of the few rarest grams of each (prefix
    filtering; Chaudhuri, Ganti and Kaushik, "A primitive operator for similarity joins in data cleaning", ICDE 2006).

    Args:
        texts: compared by their `rough_key`.
        threshold: the least Jaccard similarity, above 0.

    Yields:
        indices of two texts, the smaller one first, and their similarity; each pair once.
    """
    grams = [_grams(rough_key(text)) for text in texts]
    frequency = Counter(gram for found in grams for gram in found)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for at in sorted(range(len(grams)), key=lambda at: len(grams[at])):
        mine = grams[at]
        least = math.ceil(threshold * len(mine) - 1e-9)
        rarest = sorted(mine, key=lambda gram: (frequency[gram], gram))[: len(mine) - least + 1]
        for other in {other for gram in rarest for other in holders[gram] if len(grams[other]) >= least}:
            shared = len(mine & grams[other])
            similarity = shared / (len(mine) + len(grams[other]) - shared)
            if similarity >= threshold:
                yield min(at, other), max(at, other), similarity
        for gram in rarest:
            holders[gram].append(at)


def shown_and_asked(problems: Iterable[Problem]) -> str | None:
    """A sentence on queries of which a near copy is among the demonstrations; None where there are none."""
    n_asked, found = 0, 0
    for problem in problems:
        texts = [whole_text(row) for row in (*problem.support, *problem.queries)]
        n_shown = len(problem.support)
        found += len({other for one, other, _ in near_copies(texts) if one < n_shown <= other})
        n_asked += len(problem.queries)
    if not found:
        return None
    return (
        f"{found} of {n_asked} queries looked at have a near copy among the texts that are shown: "
        "the accuracies are likely too high for texts that are really new"
    )


def _grams(text: str) -> frozenset[str]:
    return frozenset(text[at : at + _LENGTH] for at in range(max(1, len(text) - _LENGTH + 1)))
