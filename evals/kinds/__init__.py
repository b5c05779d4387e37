"""The kinds of task, one file each."""

from __future__ import annotations

from functools import cache

from evals.kinds.base import CountsItems, Draw, Kind, Pool, Pools, Scored
from fewshot.core.errors import unknown_name

__all__ = ["KINDS", "CountsItems", "Draw", "Kind", "Pool", "Pools", "Scored", "kind_named"]

KINDS = ("classification", "multilabel", "tagging", "generation")


@cache
def kind_named(name: str) -> Kind:
    """The kind with this name. Raises UsageError with the nearest names."""
    from evals.kinds.classification import Classification
    from evals.kinds.generation import Generation
    from evals.kinds.multilabel import MultiLabel
    from evals.kinds.tagging import Tagging

    kinds: dict[str, Kind] = {kind.name: kind for kind in (Classification(), MultiLabel(), Tagging(), Generation())}
    if name not in kinds:
        raise unknown_name("kind", name, kinds)
    return kinds[name]
