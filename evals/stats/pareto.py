"""Accuracy against cost."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(costs: Sequence[float | None], scores: Sequence[float]) -> list[bool]:
    """Which entries no other entry beats: none is as cheap and as good, and cheaper or better.

    Args:
        costs: lower is better; None where unknown, which is never on the front and beats nobody.
        scores: higher is better.
    """
    front = [False] * len(scores)
    known = [(cost, -score, at) for at, (cost, score) in enumerate(zip(costs, scores, strict=True)) if cost is not None]
    cheaper_best, cost_at_best = math.inf, math.inf
    for cost, loss, at in sorted(known):
        front[at] = loss < cheaper_best or (loss == cheaper_best and cost == cost_at_best)
        if loss < cheaper_best:
            cheaper_best, cost_at_best = loss, cost
    return front
