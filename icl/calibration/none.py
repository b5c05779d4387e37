"""No calibration: the model's own preference. Cost: nothing beside the queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from icl.calibration.base import Inductive


@dataclass(frozen=True)
class NoCalibration(Inductive):
    """Scores as they are, normalised over the labels."""

    name = "none"

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        return log_softmax(np.asarray(raw, dtype=np.float64), axis=-1)
