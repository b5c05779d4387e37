"""Selectors: which examples are shown for a query. One file per method."""

from icl.selectors.base import Pick, Pool, Selector

__all__ = ["Pick", "Pool", "Selector"]
