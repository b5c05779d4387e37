"""How many episodes show a difference, and what the texts at hand can show at best."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evals import stats
from evals.comparison.analysis import Analysis
from evals.comparison.tables import Ints, Table
from evals.task import Task
from fewshot.core.errors import UsageError, unknown_name

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Power:
    """What it takes to tell two learners apart, at 80 % power and 5 % error.

    Attributes:
        difference: of the pilot, a - b, mean. sd: of its differences per episode.
        episodes: that find a difference of `delta` between the learners on this pool of texts.
        detectable: the smallest difference that `planned` episodes find on this pool.
        n_texts: texts that queries can be drawn from.
        new_texts: the pilot's difference with the interval of the jackknife over texts: it speaks of new texts.
        at_best: about the smallest difference on new texts that any number of episodes from this pool can show.
    """

    task: str
    a: str
    b: str
    way: int
    shot: int
    delta: float
    pilot: int
    difference: float
    sd: float
    episodes: int
    planned: int
    detectable: float
    n_texts: int
    new_texts: stats.Interval
    at_best: float

    @property
    def enough_texts(self) -> bool:
        """Whether the pool can show a difference of `delta` on new texts at all."""
        return self.at_best <= self.delta

    @property
    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "power": 0.8, "alpha": 0.05, "enough_texts": self.enough_texts}


def power(analysis: Analysis, a: str, b: str, delta: float, planned: int, n_texts: int | None = None) -> Power:
    """Foresee what a comparison of two learners can show, from episodes that both have answered.

    Args:
        analysis: of the pilot, or of a stored comparison.
        a, b: names of the learners in it.
        delta: the difference to be found, 0.03 for three points.
        planned: episodes.
        n_texts: texts that queries can be drawn from; None takes those that the pilot has met.

    Raises:
        UsageError: a value out of range, an unknown learner, or fewer than two episodes that both answered.
    """
    require_plan(delta, planned)
    table = analysis.table
    known = [outcome.learner for outcome in table.outcomes]
    for name in (a, b):
        if name not in known:
            raise unknown_name("learner in these runs:", name, known)
    first, second = table.outcome(a), table.outcome(b)
    differences = table.episode_means(first) - table.episode_means(second)
    differences = differences[np.isfinite(differences)]
    if differences.size < 2:
        raise UsageError(f"{a} and {b} have answered {differences.size} episodes in common; at least 2 are needed")
    sd = float(differences.std(ddof=1))
    both = first.answered & second.answered
    pool = max(n_texts or 0, table.n_texts)
    per_text = _sd_between_texts((first.score - second.score)[both], table.text[both])
    return Power(
        task=table.task,
        a=a,
        b=b,
        way=table.way,
        shot=table.shot,
        delta=delta,
        pilot=int(differences.size),
        difference=float(differences.mean()),
        sd=sd,
        episodes=stats.required_episodes(sd, delta),
        planned=planned,
        detectable=stats.detectable_difference(sd, planned),
        n_texts=pool,
        new_texts=analysis.pair(a, b).new_texts,
        at_best=stats.detectable_difference(per_text, pool) if pool > 1 else 1.0,
    )


def require_plan(delta: float, planned: int) -> None:
    """Refuse what nothing can be foreseen for, before a pilot is run.

    Raises:
        UsageError: a value out of range.
    """
    if not 0 < delta < 1:
        raise UsageError(f"--delta {delta:g}: give a difference between 0 and 1, 0.03 for three points")
    if planned < 2:
        raise UsageError(f"--episodes {planned} is too small; use 2 or more")


def pool_size(task: Task, table: Table) -> int:
    """Texts of a task that the queries of a table's episodes can be drawn from."""
    cells = {cell.class_split for cell in table.cells}
    found: set[str] = set()
    for class_split in cells:
        names = {label.name for label in task.labels_in(class_split, table.part)}
        rows = task.pools(class_split, table.part).query.rows
        found |= {row.id for row in rows if row.label in names}
    return len(found)


def _sd_between_texts(differences: Floats, texts: Ints) -> float:
    """How much the mean difference varies from text to text.

    The noise of single answers is in it, so that it errs on the safe side, less with every episode of the pilot.
    """
    sums = np.bincount(texts, differences - differences.mean())
    n = int(np.count_nonzero(np.bincount(texts)))
    return n * (float(sums @ sums) / (n - 1)) ** 0.5 / len(differences) if n > 1 else 0.0
