"""From how many labelled texts on does another learner lead?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals import stats
from evals.comparison.analysis import Analysis
from evals.comparison.tables import Floats
from evals.stats import Crossover


@dataclass(frozen=True)
class Lead:
    """Who leads a task at its fewest and at its most shots, and where the lead changes.

    Attributes:
        shots: those that were compared, in order.
        few, many: the learner with the highest mean at the fewest and at the most shots, transductive ones left out.
        crossover: where `many` overtakes `few`; None where one learner leads at both ends.
    """

    task: str
    way: int
    shots: tuple[int, ...]
    few: str
    many: str
    crossover: Crossover | None


def leads(analyses: Sequence[Analysis], *, seed: int = 0) -> list[Lead]:
    """The leads of every task that was compared at several shots.

    Args:
        analyses: of all tables.
        seed: of the bootstrap.
    """
    by_task: dict[tuple[str, str, int, int, str], list[Analysis]] = {}
    for analysis in analyses:
        table = analysis.table
        by_task.setdefault((table.task, table.data, table.way, table.query, table.part), []).append(analysis)
    found = (_lead(sorted(group, key=lambda a: a.table.shot), seed) for group in by_task.values() if len(group) > 1)
    return [lead for lead in found if lead is not None]


def _lead(group: Sequence[Analysis], seed: int) -> Lead | None:
    few, many = group[0].verdict.winner, group[-1].verdict.winner
    shots = tuple(analysis.table.shot for analysis in group)
    if few is None or many is None:
        return None
    crossover = None if few == many else between(group, few, many, seed=seed)
    return Lead(group[0].table.task, group[0].table.way, shots, few, many, crossover)


def between(group: Sequence[Analysis], a: str, b: str, *, seed: int = 0) -> Crossover | None:
    """Where the lead changes from learner `a` to learner `b`, or None where it does not or they share no episode.

    Args:
        group: the analyses of one task, by shot. Episodes are paired across shots by their queries.
    """
    curves = [(_by_pairing(analysis, a), _by_pairing(analysis, b)) for analysis in group]
    if not all(one and other for one, other in curves):
        return None
    shared = sorted(set.intersection(*(set(found) for pair in curves for found in pair)))
    if len(shared) < 2:
        return None
    first, second = (np.array([[curve[side][pairing] for curve in curves] for pairing in shared]) for side in range(2))
    return stats.crossover([analysis.table.shot for analysis in group], first, second, seed=seed)


def _by_pairing(analysis: Analysis, learner: str) -> dict[tuple[int, str], float]:
    """Cell and pairing of an episode -> mean score, for the episodes that the learner answered."""
    table = analysis.table
    if learner not in {outcome.learner for outcome in table.outcomes}:
        return {}
    means: Floats = table.episode_means(table.outcome(learner))
    keys = zip(table.cell.tolist(), table.pairings, strict=True)
    return {key: float(mean) for key, mean in zip(keys, means, strict=True) if np.isfinite(mean)}
