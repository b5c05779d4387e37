"""Where figures are sent while work goes on: TensorBoard, MLflow, or anything under the entry point group
`fewshot.trackers`. Off by default, and never a reason for work to fail."""

from __future__ import annotations

from evals.trackers.base import Tracker, Trackers, track
from evals.trackers.numbers import numbers

__all__ = ["Tracker", "Trackers", "numbers", "track"]
