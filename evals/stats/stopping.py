"""When a learner has answered enough episodes: once its interval on this pool is narrow enough, seen now and then."""

from __future__ import annotations

from collections.abc import Sequence

from evals.stats.intervals import score_interval

#: Episodes between two looks.
EVERY = 50


def looks(n_episodes: int, until_ci: float | None) -> list[int]:
    """After how many episodes to look; the last look is at the end."""
    return [n_episodes] if until_ci is None else [*range(EVERY, n_episodes, EVERY), n_episodes]


def narrow_enough(means: Sequence[float], until_ci: float | None) -> bool:
    """Whether the 95 % interval of a learner's mean reaches at most `until_ci` points to either side.

    Args:
        means: its score per episode; none is never enough.
        until_ci: None is never reached.
    """
    return until_ci is not None and bool(means) and 100 * score_interval(means).half_width <= until_ci
