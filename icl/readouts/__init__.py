"""Readouts: how the scores of the labels are got out of a language model."""
