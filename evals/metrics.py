"""Metrics as pure functions. Where there is nothing to measure they say None, never NaN."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from evals.alarms import alarm_of
from evals.kinds.base import Scored
from evals.types import Answer, Gold, Status
from fewshot.core.hashing import text_key

Item = TypeVar("Item")


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are none."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


@dataclass
class Counts:
    """True positives, false positives and false negatives of one class, or of several together."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @classmethod
    def of(cls, gold: set[Any], predicted: set[Any]) -> Counts:
        """Those of one text."""
        return cls(len(gold & predicted), len(predicted - gold), len(gold - predicted))

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float | None:
        """tp / (tp + fp); None where nothing was predicted."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else None

    @property
    def recall(self) -> float | None:
        """tp / (tp + fn); None where there is no gold."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else None

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn); None for a class that is neither gold nor predicted."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else None


def count_by_name(pairs: Iterable[tuple[set[Item], set[Item]]], name_of: Callable[[Item], str]) -> dict[str, Counts]:
    """Compare sets of gold items with sets of predicted items.

    Args:
        pairs: (gold, predicted) of every query.
        name_of: the class of an item.

    Returns:
        The counts of each class, sorted by name.
    """
    counts: defaultdict[str, Counts] = defaultdict(Counts)
    for gold, predicted in pairs:
        for item in gold & predicted:
            counts[name_of(item)].tp += 1
        for item in predicted - gold:
            counts[name_of(item)].fp += 1
        for item in gold - predicted:
            counts[name_of(item)].fn += 1
    return dict(sorted(counts.items()))


def set_f1(gold: set[Item], predicted: set[Item]) -> float:
    """F1 of one predicted set; 1 where both are empty."""
    if not gold and not predicted:
        return 1.0
    return 2 * len(gold & predicted) / (len(gold) + len(predicted))


def token_f1(gold: str, predicted: str) -> float:
    """F1 of the bags of words of two texts, case and white space aside; 1 where both are empty.

    Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (without the removal of
    English articles and punctuation, so that it treats all languages alike).
    """
    wanted, given = Counter(text_key(gold).split()), Counter(text_key(predicted).split())
    if not wanted and not given:
        return 1.0
    return 2 * (wanted & given).total() / (wanted.total() + given.total())


def macro_f1(labels: Sequence[str], gold: Sequence[Gold], answers: Sequence[Answer]) -> float:
    """Unweighted mean over the classes of F1; 0 for a class without a right answer.

    Classes that are neither gold nor predicted are left out. An answer that is not ok is a miss of its class and a
    false alarm of none.
    """
    counts = count_by_name(_label_sets(gold, answers), str)
    return mean(counts[name].f1 for name in labels if name in counts) or 0.0


def recall_per_class(episodes: Iterable[Scored]) -> dict[str, float]:
    """Share of each class's queries that were answered right, all episodes pooled. Sorted by class."""
    counts = count_by_name((pair for e in episodes for pair in _label_sets(e.gold, e.answers)), str)
    return {name: count.recall for name, count in counts.items() if count.recall is not None}


def log_loss(episodes: Iterable[Scored]) -> float | None:
    """Mean negative log-probability (nats) of the gold label, over the ok answers with log-probabilities."""
    return mean(-scores[labels.index(gold)] for labels, gold, _, scores in _with_logprobs(episodes))


def calibration_error(episodes: Iterable[Scored], bins: int = 15) -> float | None:
    """Expected calibration error of the decisions, in `bins` bins of equal width, over answers with log-probabilities.

    The mean, weighted by bin, of |share of right answers - mean probability given to the decision|.
    Guo et al. 2017, "On Calibration of Modern Neural Networks".

    Returns:
        A value from 0 (calibrated) to 1, or None if no answer has log-probabilities.
    """
    rows = [
        (math.exp(scores[labels.index(decision)]), decision == gold)
        for labels, gold, decision, scores in _with_logprobs(episodes)
    ]
    if not rows:
        return None
    confidence, right = np.array(rows, dtype=float).T
    # Bins are closed on the right, (0, 1/15], (1/15, 2/15], ...; certainty belongs into the last one.
    at = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(at, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(rows))


def constant_predictor(episodes: Sequence[Scored]) -> dict[str, Any]:
    """Alarm for a learner that ignores its queries, as `alarm_of` its ok answers."""
    return alarm_of([(_decisions(episode.answers), Counter(episode.gold)) for episode in episodes])


def _decisions(answers: Iterable[Answer]) -> Counter[Any]:
    return Counter(answer.decision for answer in answers if answer.status is Status.OK)


def _label_sets(gold: Sequence[Gold], answers: Sequence[Answer]) -> Iterator[tuple[set[Gold], set[Gold]]]:
    for wanted, answer in zip(gold, answers, strict=True):
        yield {wanted}, {answer.decision} if answer.status is Status.OK and answer.decision is not None else set()


def _with_logprobs(episodes: Iterable[Scored]) -> Iterator[tuple[Sequence[Gold], Gold, Gold, tuple[float, ...]]]:
    """(labels, gold, decision, scores) of every ok answer that has log-probabilities."""
    for episode in episodes:
        for gold, answer in zip(episode.gold, episode.answers, strict=True):
            if answer.status is not Status.OK or answer.decision is None or answer.scores is None:
                continue
            if answer.score_kind == "logprob":
                yield episode.labels, gold, answer.decision, answer.scores
