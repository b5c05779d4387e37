"""Rate limits: requests and tokens per minute."""

from __future__ import annotations

from icl.models.api.retry import Clock

#: Seconds' worth of a rate that may be used at once.
_BURST = 1.0


class Rate:
    """So many units per minute, evenly: the generic cell rate algorithm with one second's worth of burst.

    Args:
        per_minute: above 0; None is no limit.
        clock: tells the time.
    """

    def __init__(self, per_minute: float | None, clock: Clock) -> None:
        self._seconds_each = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._free_at = 0.0

    def reserve(self, n: float) -> float:
        """Take `n` units, and return after how many seconds they may be used: those who come later wait behind."""
        now = self._clock.monotonic()
        begin = max(self._free_at, now)
        self._free_at = begin + n * self._seconds_each
        return max(0.0, begin - _BURST - now)
