"""Accuracy that falls as labelled texts are added: more examples make such a learner worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from evals import stats
from evals.comparison.analysis import ALPHA, Analysis
from evals.comparison.crossing import by_task
from evals.wording import p_value, percent


@dataclass(frozen=True)
class Fall:
    """A learner's accuracy at two numbers of labelled texts per class, the larger one below the smaller one.

    Attributes:
        few, many: texts per class. before, after: mean accuracy there, on the same episodes.
        p: of the difference, two-sided, Holm-adjusted over all pairs of shots.
    """

    few: int
    many: int
    before: float
    after: float
    p: float

    def sentence(self, learner: str, task: str) -> str:
        """The alarm in words."""
        return (
            f"{learner} falls from {percent(self.before)} % at {self.few}-shot to {percent(self.after)} % at "
            f"{self.many}-shot on {task} ({p_value(self.p)}): more examples make it worse"
        )


def largest_fall(scores: Mapping[int, ArrayLike]) -> Fall | None:
    """The largest fall between two numbers of shots that chance does not explain, or None.

    Args:
        scores: texts per class -> one score per episode, (n_episodes,), the same episodes for all.

    >>> largest_fall({1: [0.8] * 8, 5: [0.6] * 8}).many
    5
    >>> largest_fall({1: [0.6] * 8, 5: [0.8] * 8})
    """
    means = {shot: np.asarray(values, dtype=np.float64) for shot, values in sorted(scores.items())}
    pairs = list(combinations(means, 2))
    adjusted = stats.holm([stats.sign_flip_test(means[few] - means[many]) for few, many in pairs])
    found = [
        Fall(few, many, float(means[few].mean()), float(means[many].mean()), p)
        for (few, many), p in zip(pairs, adjusted, strict=True)
        if p < ALPHA
    ]
    falls = [fall for fall in found if fall.after < fall.before]
    return max(falls, key=lambda fall: fall.before - fall.after, default=None)


def falls(analyses: Sequence[Analysis]) -> Iterator[tuple[str, str, Fall]]:
    """Learner, task and fall: every learner, baselines aside, that falls on a task compared at several shots.

    Args:
        analyses: of all tables. Episodes are paired across shots by their queries.
    """
    for group in by_task(analyses):
        standings = [{each.learner for each in one.standings if not each.baseline} for one in group]
        for name in sorted(set.intersection(*standings)):
            found = largest_fall(_paired(group, name))
            if found is not None:
                yield name, group[0].table.task, found


def _paired(group: Sequence[Analysis], learner: str) -> dict[int, list[float]]:
    """The scores of a learner on the episodes that it answered at every number of shots."""
    answered: dict[int, dict[tuple[int, str], float]] = {}
    for table in (analysis.table for analysis in group):
        keys = zip(table.cell.tolist(), table.pairings, strict=True)
        means = table.episode_means(table.outcome(learner)).tolist()
        answered[table.shot] = {key: mean for key, mean in zip(keys, means, strict=True) if np.isfinite(mean)}
    shared = sorted(set.intersection(*map(set, answered.values())))
    return {shot: [means[key] for key in shared] for shot, means in answered.items()} if shared else {}
