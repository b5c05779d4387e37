"""Batch calibration (Zhou et al., ICLR 2024, arXiv 2309.17249). Cost: nothing beside the queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from icl.calibration.base import Inductive


@dataclass(frozen=True)
class Batch(Inductive):
    """Divides by the mean over the queries asked together.

    The mean is one of log-probabilities, so one confident query does not outweigh the others. It assumes that the
    labels are about equally frequent among the queries, and it looks at all of them: results are marked transductive.
    One query alone has no mean but itself, which would make every label equally likely: it is left as it is.
    """

    name = "batch"
    transductive: ClassVar[bool] = True

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        scores = log_softmax(np.asarray(raw, dtype=np.float64), axis=-1)
        if len(scores) < 2:
            return scores
        return log_softmax(scores - scores.mean(axis=0), axis=-1)
