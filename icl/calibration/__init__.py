"""Calibration: from raw label scores to log-probabilities of the labels. One file per method."""

from icl.calibration.applied import calibrated
from icl.calibration.base import CONTENT_FREE, NO_ROWS, Calibrator
from icl.calibration.batch import Batch
from icl.calibration.contextual import Contextual
from icl.calibration.none import NoCalibration

__all__ = ["CONTENT_FREE", "NO_ROWS", "Batch", "Calibrator", "Contextual", "NoCalibration", "calibrated"]
