"""The calibrated scores of labels, for readouts that do something else with them."""

from __future__ import annotations

import numpy as np

from evals.types import Prediction, Usage
from icl.answers import answers_of, trace_of
from icl.calibration.applied import calibrated
from icl.planning import Plan
from icl.readouts.base import Asking


def label_scores(asking: Asking, plan: Plan) -> tuple[np.ndarray, Usage, tuple[str, ...]]:
    """Have the labels scored after every prompt of a plan.

    Returns:
        (n_queries, n_way) calibrated log-probabilities, NaN where a query could not be asked or scored; what it cost;
        what is to be noted.
    """
    labels = asking.problem.labels
    found = asking.scorer.read(asking.model, plan.prompts, plan.choices)
    answers, content_free = answers_of(plan, found.readings, labels)
    prediction = Prediction("", answers, {}, trace_of(plan, content_free, ()))
    scored = calibrated(prediction, labels, asking.calibrator).answers
    missing = (np.nan,) * len(labels)
    return np.array([answer.scores or missing for answer in scored]), found.usage, found.notes
