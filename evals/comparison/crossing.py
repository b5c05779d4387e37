"""From how many labelled texts on does another learner lead?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals import stats
from evals.comparison.analysis import Analysis
from evals.comparison.tables import Floats, Table
from evals.stats import Crossover, TextJackknife


@dataclass(frozen=True)
class Lead:
    """Who leads a task at each number of shots, and where the lead changes.

    Attributes:
        shots: those that were compared, in order.
        leaders: per number of shots, the learner with the highest mean, transductive ones left out; None where none is
            told apart from chance.
        crossover: where the leader at the most shots overtakes the one at the fewest; None where they are the same.
    """

    task: str
    way: int
    shots: tuple[int, ...]
    leaders: tuple[str | None, ...]
    crossover: Crossover | None

    @property
    def few(self) -> str:
        """The leader at the fewest shots."""
        return self.leaders[0] or ""

    @property
    def many(self) -> str:
        """The leader at the most shots."""
        return self.leaders[-1] or ""

    @property
    def steady(self) -> bool:
        """Whether one learner leads at every number of shots."""
        return len(set(self.leaders)) == 1


def leads(analyses: Sequence[Analysis], *, seed: int = 0) -> list[Lead]:
    """The leads of every task that was compared at several shots.

    Args:
        analyses: of all tables.
        seed: of the draws.
    """
    found = (_lead(group, seed) for group in by_task(analyses))
    return [lead for lead in found if lead is not None]


def by_task(analyses: Sequence[Analysis]) -> list[list[Analysis]]:
    """The analyses of every task that was compared at several shots, by shot."""
    groups: dict[tuple[str, str, int, int, str, str], list[Analysis]] = {}
    for analysis in analyses:
        table = analysis.table
        place = (table.task, table.data, table.way, table.query, table.query_balance, table.part)
        groups.setdefault(place, []).append(analysis)
    return [sorted(group, key=lambda a: a.table.shot) for group in groups.values() if len(group) > 1]


def _lead(group: Sequence[Analysis], seed: int) -> Lead | None:
    leaders = tuple(analysis.verdict.winner for analysis in group)
    few, many = leaders[0], leaders[-1]
    shots = tuple(analysis.table.shot for analysis in group)
    if few is None or many is None:
        return None
    crossover = None if few == many else between(group, few, many, seed=seed)
    return Lead(group[0].table.task, group[0].table.way, shots, leaders, crossover)


def between(group: Sequence[Analysis], a: str, b: str, *, seed: int = 0) -> Crossover | None:
    """Where the lead changes from learner `a` to learner `b`, or None where it does not or they share no episode.

    The interval speaks of new texts: at every number of shots the difference errs as the jackknife over texts finds,
    and errors at several go together as far as the same texts move them.

    Args:
        group: the analyses of one task, by shot. Episodes are paired across shots by their queries.
    """
    tables = [analysis.table for analysis in group]
    if not all({a, b} <= {outcome.learner for outcome in table.outcomes} for table in tables):
        return None
    shared = set.intersection(*(_pairings(table, a, b) for table in tables))
    if len(shared) < 2:
        return None
    numbers: dict[str, int] = {}
    found = [_on(table, a, b, shared) for table in tables]
    for table in tables:
        for row in table.text_ids:
            numbers.setdefault(row, len(numbers))
    influences = np.zeros((len(numbers), len(tables)))
    for at, (table, jackknife) in enumerate(zip(tables, found, strict=True)):
        rows = [numbers[row] for row in table.text_ids[: len(jackknife.influences)]]
        influences[rows, at] = jackknife.influences[:, 0]
    estimates = [jackknife.estimate([1.0]) for jackknife in found]
    errors = np.array([estimate.error for estimate in estimates])
    lengths = np.sqrt((influences**2).sum(axis=0))
    alike = influences.T @ influences / np.maximum(np.outer(lengths, lengths), np.finfo(float).tiny)
    np.fill_diagonal(alike, 1.0)
    means = [estimate.mean for estimate in estimates]
    return stats.crossover([table.shot for table in tables], means, alike * np.outer(errors, errors), seed=seed)


def _pairings(table: Table, a: str, b: str) -> set[tuple[int, str]]:
    """Cell and pairing of the episodes that both learners answered."""
    both: Floats = table.episode_means(table.outcome(a)) + table.episode_means(table.outcome(b))
    keys = zip(table.cell.tolist(), table.pairings, strict=True)
    return {key for key, mean in zip(keys, both, strict=True) if np.isfinite(mean)}


def _on(table: Table, a: str, b: str, shared: set[tuple[int, str]]) -> TextJackknife:
    """a - b on the episodes in `shared`."""
    keys = zip(table.cell.tolist(), table.pairings, strict=True)
    where = np.array([key in shared for key in keys])[table.episode]
    differences = (table.outcome(a).score - table.outcome(b).score)[where]
    return TextJackknife(differences[:, None], table.design.chosen(where))
