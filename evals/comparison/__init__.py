"""Comparisons: learners on the same episodes, with statistics that hold."""

from evals.comparison.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
