"""Tasks of time series: .ts, .arff and .npz files become rows whose text is a series."""

from evals.series.sources import SUFFIXES, holds_series, read_series, split_of_series

__all__ = ["SUFFIXES", "holds_series", "read_series", "split_of_series"]
