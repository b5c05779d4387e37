"""How far the probabilities of a predictor can be trusted, and when it had better say that it is unsure.

Measured on the splits that chose the learner: rows that it had not been shown. Two things follow. One number, the
temperature, by which log-probabilities are divided (Guo et al., ICML 2017, arXiv 1706.04599): it minimises the log loss
and changes no decision. And how often answers of at least some probability are right (selective classification;
Geifman and El-Yaniv, NeurIPS 2017, arXiv 1705.08500).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.stats import Interval, wilson_interval
from evals.types import Answer
from fewshot.core.errors import UsageError

#: Texts from which on a temperature is fitted, and its bounds.
_FEWEST, _LOWEST, _HIGHEST = 20, 0.05, 20.0
#: Thresholds that are tested for an accuracy.
_STEPS = 20
#: Classes of probability of the expected calibration error, and points that are kept of a predictor.
_BINS, _KEPT = 10, 2000


@dataclass(frozen=True)
class Confidence:
    """What the splits say of the probabilities of a learner.

    Attributes:
        temperature: log-probabilities are divided by it.
        log_loss: per text, before and after that.
        calibration_error: the expected calibration error, before and after: how far the probability of answers is from
            the share that is right, on average over ten classes of probability.
        points: per text, the probability of its answer (after) and how often that was right, the surest first.
    """

    temperature: float
    log_loss: tuple[float, float]
    calibration_error: tuple[float, float]
    points: tuple[tuple[float, float], ...]

    @classmethod
    def measure(cls, answers: Sequence[tuple[str, Answer, int]]) -> Confidence | None:
        """From answers to texts whose class is known; None where they have no probabilities, or are too few.

        Args:
            answers: for each, an id of its text (a text that was asked several times counts once), the answer, and
                the position of the right class among its scores.
        """
        known = [(text, answer.scores, right) for text, answer, right in answers if answer.scores is not None]
        if len(known) < len(answers) or len({text for text, _, _ in known}) < _FEWEST:
            return None
        scores = _stacked([each for _, each, _ in known])
        right = np.array([at for _, _, at in known])
        temperature = _fitted(scores, right)
        before, after = (_summary(scores, right, each) for each in (1.0, temperature))
        by_text: dict[str, list[tuple[float, bool]]] = {}
        for (text, _, _), sure, is_right in zip(known, *after[2:], strict=True):
            by_text.setdefault(text, []).append((float(sure), bool(is_right)))
        means = ((_mean(sure for sure, _ in each), _mean(good for _, good in each)) for each in by_text.values())
        points = sorted(means, reverse=True)
        kept = points[:: max(1, len(points) // _KEPT)]
        return cls(
            temperature,
            (before[0], after[0]),
            (before[1], after[1]),
            tuple((round(sure, 6), round(share, 6)) for sure, share in kept),
        )

    @classmethod
    def restored(cls, record: Mapping[str, Any]) -> Confidence:
        """What `record` gave."""
        return cls(
            record["temperature"],
            tuple(record["log_loss"]),
            tuple(record["calibration_error"]),
            tuple((sure, share) for sure, share in record["points"]),
        )

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def at(self, threshold: float) -> tuple[float, Interval | None]:
        """The share of texts that is answered at this threshold, and how often they are right; None of none."""
        answered = [share for sure, share in self.points if sure >= threshold]
        coverage = len(answered) / len(self.points)
        return coverage, wilson_interval(sum(answered), len(answered)) if answered else None

    def threshold_for(self, accuracy: float) -> float:
        """The lowest threshold from which on answers are right that often.

        Thresholds that answer 5, 10, ... 100 % of the texts are tested, each at 5 % divided by their number, by the
        lower end of Wilson's interval: all of them hold together.

        Raises:
            UsageError: none of them does.
        """
        n = len(self.points)
        for share in range(_STEPS, 0, -1):
            at = max(1, n * share // _STEPS)
            if wilson_interval(self._right(at), at, 1 - 0.1 / _STEPS).low >= accuracy:
                return self.points[at - 1][0]
        surest = wilson_interval(self._right(n // 2), n // 2)
        raise UsageError(
            f"an accuracy of {accuracy:g} cannot be promised: of the surer half of {n} texts {surest.mean:.1%} were "
            f"right ({surest.low:.1%} to {surest.high:.1%}). Ask for less, or label more texts"
        )

    def _right(self, surest: int) -> float:
        """How many of the surest texts were right."""
        return sum(share for _, share in self.points[:surest])


def calibrated(answer: Answer, temperature: float) -> Answer:
    """The answer with its log-probabilities divided by a temperature, and normalised again."""
    if answer.scores is None or temperature == 1.0:
        return answer
    return replace(answer, scores=tuple(_log_softmax(np.array(answer.scores) / temperature).tolist()))


def _fitted(scores: NDArray[np.float64], right: NDArray[np.int64]) -> float:
    from scipy.optimize import minimize_scalar

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    rows = np.arange(len(scores))
    found = minimize_scalar(
        lambda log: -_log_softmax(scores / np.exp(log))[rows, right].mean(), bounds=bounds, method="bounded"
    )
    return round(float(np.exp(found.x)), 4)


def _summary(
    scores: NDArray[np.float64], right: NDArray[np.int64], temperature: float
) -> tuple[float, float, NDArray[np.float64], NDArray[np.bool_]]:
    """Log loss, expected calibration error, and per answer its probability and whether it is right."""
    logs = _log_softmax(scores / temperature)
    sure, is_right = np.exp(logs.max(axis=1)), logs.argmax(axis=1) == right
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(sure[bins == each].mean() - is_right[bins == each].mean()) * (bins == each).mean() for each in set(bins)
    ]
    return float(-logs[np.arange(len(logs)), right].mean()), float(sum(gaps)), sure, is_right


def _stacked(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """(n, most classes) scores; NaN where an answer had fewer classes to choose from."""
    stacked = np.full((len(rows), max(map(len, rows))), np.nan)
    for at, row in enumerate(rows):
        stacked[at, : len(row)] = row
    return stacked


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., classes), of which those that are NaN do not exist."""
    # A class that is ruled out keeps a tiny share, so that a wrong certainty costs a finite loss.
    shifted = np.maximum(scores - np.nanmax(scores, axis=-1, keepdims=True), -50.0)
    shifted = np.where(np.isnan(scores), -np.inf, shifted)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _mean(values: Any) -> float:
    return float(np.mean([float(value) for value in values]))
