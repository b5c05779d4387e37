"""One label for nearly every answer: one rule for everyone who gives answers or measures them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Of the answers. Fewer than so many answers tell nothing.
_NEARLY_ALL, _FEWEST = 0.95, 10
#: An alarm is raised where answers drawn as the labels are spread would be so alike in one case of a hundred at most.
_ERROR = 0.01

#: How often each label was answered, and how often it was to be expected: the gold, or the labels that were shown.
Group = tuple[Counter[Any], Counter[Any]]


@dataclass(frozen=True)
class OneLabel:
    """How alike answers are.

    Attributes:
        times: answers with the most frequent label of their group. n: all answers.
        expected: the share of those labels in what was to be expected, 0 to 1.
        label: that label, where there is one group.
    """

    times: int
    n: int
    expected: float
    label: Any = None

    @property
    def share(self) -> float:
        """Of the answers that have the most frequent label of their group, 0 to 1."""
        return self.times / self.n

    @property
    def implausible(self) -> bool:
        """Whether so many alike are no chance: by Chernoff's bound of the binomial distribution."""
        if self.n < _FEWEST or self.share < _NEARLY_ALL or self.share <= self.expected:
            return False
        return self.expected == 0 or self.n * _divergence(self.share, self.expected) >= math.log(1 / _ERROR)


def one_label(groups: Sequence[Group]) -> OneLabel | None:
    """How alike answers are within their groups (episodes) or, if that is implausible, all together.

    A group tells where it has two answers or more, and more than one label was to be expected.

    Returns:
        None where no group can tell, nor all together.

    >>> one_label([(Counter(a=12), Counter(a=20, b=20))]).implausible
    True
    >>> one_label([(Counter(a=12), Counter(a=38, b=2))]).implausible
    False
    """
    decided, expected = Counter[Any](), Counter[Any]()
    for one, other in groups:
        decided.update(one)
        expected.update(other)
    apart, together = _alike(groups), _alike([(decided, expected)])
    if together is not None and (apart is None or (together.implausible and not apart.implausible)):
        return together
    return apart


def alarm_of(groups: Sequence[Group]) -> dict[str, Any]:
    """What a result says of it: `flag` whether it is implausible, `share` and `expected` (None where nothing tells)."""
    if (found := one_label(groups)) is None:
        return {"flag": False, "share": None, "expected": None}
    return {"flag": found.implausible, "share": found.share, "expected": found.expected}


def sentence(learner: str, alarm: Mapping[str, Any]) -> str:
    """The alarm in words."""
    return (
        f"{learner} gives one label to {alarm['share']:.0%} of its answers, where {alarm['expected']:.0%} are to be "
        "expected: a bias, not a skill"
    )


def _alike(groups: Iterable[Group]) -> OneLabel | None:
    times, n, right, labels = 0, 0, 0.0, []
    for decided, expected in groups:
        if decided.total() < 2 or sum(count > 0 for count in expected.values()) < 2:
            continue
        label, most = decided.most_common(1)[0]
        times, n = times + most, n + decided.total()
        right += decided.total() * expected[label] / expected.total()
        labels.append(label)
    return OneLabel(times, n, right / n, labels[0] if len(labels) == 1 else None) if n else None


def _divergence(p: float, q: float) -> float:
    """Of Kullback and Leibler, from Bernoulli(q) to Bernoulli(p), in nats; q is neither 0 nor 1."""
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a)
