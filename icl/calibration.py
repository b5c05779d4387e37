"""Calibration: from raw label scores to probabilities of the labels. Pure arithmetic on scores that are on record.

Everything is in log space and float64. A score is a log-probability (or a length-normalised one); for one prompt,
`log_softmax` over the labels makes probabilities of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy.special import log_softmax, logsumexp

from evals.types import Label, Prediction
from fewshot.core.errors import UsageError
from icl.parts import Part

#: Inputs without content, those of Zhao et al. 2021.
CONTENT_FREE = ("N/A", "", "[MASK]")


class Calibrator(Protocol):
    """Turns raw scores into log-probabilities.

    Attributes:
        needs_content_free: whether it uses the scores of `CONTENT_FREE`.
        transductive: whether the result for one query depends on the other queries.
    """

    needs_content_free: ClassVar[bool]
    transductive: ClassVar[bool]

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        """Calibrate the queries of one problem.

        Args:
            raw: (n_query, n_way) scores.
            content_free: (n_content_free, n_way) scores of content-free inputs where all queries share their
                demonstrations, else (n_query, n_content_free, n_way).

        Returns:
            (n_query, n_way) log-probabilities, normalised over the labels.
        """
        ...

    def describe(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class NoCalibration(Part):
    """The model's own preference."""

    name = "none"
    needs_content_free: ClassVar[bool] = False
    transductive: ClassVar[bool] = False

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        return log_softmax(np.asarray(raw, dtype=np.float64), axis=-1)


@dataclass(frozen=True)
class Contextual(Part):
    """Divides by what the model says where there is nothing to read (Zhao et al. 2021, "Calibrate Before Use").

    As in the paper, the label probabilities of the content-free inputs are normalised over the labels, each input by
    itself, and averaged as probabilities. Dividing also takes out the advantage of short labels.
    """

    name = "contextual"
    needs_content_free: ClassVar[bool] = True
    transductive: ClassVar[bool] = False

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        prior = log_softmax(np.asarray(content_free, dtype=np.float64), axis=-1)
        mean = logsumexp(prior, axis=-2) - np.log(prior.shape[-2])
        return log_softmax(np.asarray(raw, dtype=np.float64) - mean, axis=-1)


@dataclass(frozen=True)
class Batch(Part):
    """Divides by the mean over the queries asked together (Zhou et al. 2024, "Batch Calibration").

    The mean is one of log-probabilities, so one confident query does not outweigh the others. It assumes that the
    labels are about equally frequent among the queries, and it looks at all of them: results are marked transductive.
    One query alone has no mean but itself, which would make every label equally likely: it is left as it is.
    """

    name = "batch"
    needs_content_free: ClassVar[bool] = False
    transductive: ClassVar[bool] = True

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        scores = log_softmax(np.asarray(raw, dtype=np.float64), axis=-1)
        if len(scores) < 2:
            return scores
        return log_softmax(scores - scores.mean(axis=0), axis=-1)


def calibrated(prediction: Prediction, labels: Sequence[Label], calibrator: Calibrator) -> Prediction:
    """Decide from the raw scores of a prediction, a stored one as well as a new one. Asks no model.

    Args:
        prediction: with raw scores in its answers and, in its trace, those of the content-free inputs.
        labels: of the problem, in its order.
        calibrator: how.

    Returns:
        The prediction with decisions and scores of its own. Answers without raw scores stay as they are.

    Raises:
        UsageError: the calibrator needs content-free scores, and none are on record.
    """
    scored = [at for at, answer in enumerate(prediction.answers) if answer.raw is not None]
    if not scored:
        return prediction
    raw = np.array([prediction.answers[at].raw for at in scored], dtype=np.float64)
    content_free = np.array(prediction.trace.content_free, dtype=np.float64).reshape(-1, len(labels))
    if calibrator.needs_content_free and not len(content_free):
        raise UsageError("there are no content-free scores on record; choose another calibration than contextual")
    if len(prediction.trace.demonstrations) != 1:
        content_free = content_free.reshape(len(scored), -1, len(labels))
    scores = calibrator.apply(raw, content_free)
    answers = list(prediction.answers)
    for at, row in zip(scored, scores, strict=True):
        decision = labels[int(np.argmax(row))].name
        kind = "bound" if answers[at].score_kind == "bound" else "logprob"
        answers[at] = replace(answers[at], decision=decision, scores=tuple(row.tolist()), score_kind=kind)
    return replace(prediction, answers=tuple(answers))
