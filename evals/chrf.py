"""chrF: how much of a text another one repeats, in character n-grams, white space aside.

Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation", WMT; orders 1 to 6 and beta 2, as sacreBLEU
computes it by default: counts are summed over all texts, and orders of which either side has no n-gram are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_ORDER, _BETA = 6, 2


def chrf(pairs: Iterable[tuple[str, str]]) -> float | None:
    """chrF2 of texts taken together, 0 to 1.

    >>> round(chrf([("the cat", "the cat")]), 3), round(chrf([("the cat", "the hat")]), 3)
    (1.0, 0.281)

    Args:
        pairs: (expected, written).

    Returns:
        None where there is no pair.
    """
    wanted, given, shared = ([0] * _ORDER for _ in range(3))
    seen = False
    for pair in pairs:
        seen = True
        expected, written = ("".join(text.split()) for text in pair)
        for at in range(_ORDER):
            one, other = _ngrams(expected, at + 1), _ngrams(written, at + 1)
            wanted[at] += one.total()
            given[at] += other.total() if one else 0
            shared[at] += (one & other).total()
    if not seen:
        return None
    orders = [at for at in range(_ORDER) if wanted[at] and given[at]]
    if not orders:
        return 0.0
    precision = sum(shared[at] / given[at] for at in orders) / len(orders)
    recall = sum(shared[at] / wanted[at] for at in orders) / len(orders)
    if not precision + recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (_BETA**2 * precision + recall)


def _ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))
