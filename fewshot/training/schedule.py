"""How the outer step size changes: functions of the step alone, so a resumed training needs no state for them."""

from __future__ import annotations

from math import cos, pi
from typing import Literal, get_args

from fewshot.core.errors import unknown_name

Schedule = Literal["constant", "cosine", "linear"]


def warmed_up(step: int, steps: int, warmup: int, schedule: Schedule) -> float:
    """`rate`, after a rise from 0 to 1 over the first `warmup` steps (at most all but one)."""
    warmup = min(warmup, steps - 1)
    return (step + 1) / (warmup + 1) if step < warmup else rate(step - warmup, steps - warmup, schedule)


def rate(step: int, steps: int, schedule: Schedule) -> float:
    """What the step size is multiplied by at `step` (0, ..., steps - 1).

    Args:
        schedule: "constant"; "cosine" from 1 to 0 (Loshchilov and Hutter 2017); "linear" from 1 to 0, as Reptile does.

    Raises:
        UsageError: an unknown schedule.
    """
    done = step / steps
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return (1 + cos(pi * done)) / 2
    if schedule == "linear":
        return 1 - done
    raise unknown_name("schedule", schedule, get_args(Schedule))
