"""Contextual calibration (Zhao et al., ICML 2021, "Calibrate Before Use", arXiv 2102.09690).

Cost: three short inputs per problem, or per query where queries have their own demonstrations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax, logsumexp

from icl.calibration.base import SHARED_ROWS, Inductive


@dataclass(frozen=True)
class Contextual(Inductive):
    """Divides by what the model says where there is nothing to read.

    As in the paper, the label probabilities of the content-free inputs are normalised over the labels, each input by
    itself, and averaged as probabilities. Dividing also takes out the advantage of short labels.
    """

    name = "contextual"
    content_free: ClassVar[slice] = SHARED_ROWS

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        prior = log_softmax(np.asarray(content_free, dtype=np.float64), axis=-1)
        mean = logsumexp(prior, axis=-2) - np.log(prior.shape[-2])
        return log_softmax(np.asarray(raw, dtype=np.float64) - mean, axis=-1)
