"""Scorers: how a prompt becomes a label. One file per method."""

from icl.scoring.base import Choices, Reading, Readings, Scorer

__all__ = ["Choices", "Reading", "Readings", "Scorer"]
