"""Decisions from raw scores that are on record: of a new prediction as well as of a stored one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evals.types import Label, Prediction
from fewshot.core.errors import UsageError
from icl.calibration.base import NO_ROWS, Calibrator


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
    own = len(prediction.trace.demonstrations) != 1
    recorded = np.array(prediction.trace.content_free, dtype=np.float64)
    recorded = recorded.reshape(len(scored) if own else 1, -1, len(labels))[:, calibrator.content_free]
    if calibrator.content_free != NO_ROWS and not recorded.size:
        raise UsageError(
            f"the content-free scores that calibrator {calibrator.describe()['name']!r} divides by are not on record: "
            "there are none, or those of other inputs. Choose another calibration, or run the task with this one"
        )
    scores = calibrator.apply(raw, recorded if own else recorded[0])
    answers = list(prediction.answers)
    for at, row in zip(scored, scores, strict=True):
        decision = labels[int(np.argmax(row))].name
        kind = "bound" if answers[at].score_kind == "bound" else "logprob"
        answers[at] = replace(answers[at], decision=decision, scores=tuple(row.tolist()), score_kind=kind)
    return replace(prediction, answers=tuple(answers))
