"""What the splits say: how good every learner is, which one to take, and how sure that is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals import stats
from evals.kinds import Scored
from evals.metrics import constant_predictor
from evals.recommend.splits import Splits
from evals.recommend.trial import Trial
from evals.stats import DIFFERENCES, Interval
from evals.stats.intervals import ROUNDING
from evals.types import Status

#: Level of the tests behind a recommendation.
ALPHA = 0.05
#: What would need more texts than this, and more than so many times those there are, is not foreseen.
_FARTHEST, _MOST_TIMES = 1000, 10


@dataclass(frozen=True)
class Standing:
    """One learner on all splits.

    Attributes:
        accuracy: mean over the splits; its interval speaks of other samples of this size.
        behind: how far it is behind the best learner, and `p`, Holm-adjusted, that it is not; None for the best one
            and for transductive learners.
        non_ok_rate: share of the texts that got no usable answer.
        constant: whether it gives nearly every text the same label.
    """

    learner: str
    baseline: bool
    transductive: bool
    accuracy: Interval
    behind: Interval | None
    p: float | None
    non_ok_rate: float
    constant: bool
    seconds: float
    usd: float | None


@dataclass(frozen=True)
class Verdict:
    """Which learner to take.

    Attributes:
        learner: the best one; transductive ones are not considered.
        runner_up: the next best, or None where there is no other.
        beats_majority: whether it is clearly better than always giving the most frequent label.
        sure: whether it is told apart from the runner-up, too.
        texts_needed: about how many labelled texts would settle what is open; None where nothing is, or where no
            number within reach would.
    """

    learner: str
    runner_up: str | None
    beats_majority: bool
    sure: bool
    texts_needed: int | None


@dataclass(frozen=True)
class Findings:
    """Standings, best first, transductive learners after the others; the verdict; and the most frequent label."""

    standings: tuple[Standing, ...]
    verdict: Verdict
    majority: str
    majority_share: float

    def standing(self, learner: str) -> Standing:
        """The standing of the learner with this name."""
        return next(standing for standing in self.standings if standing.learner == learner)


def weigh(trials: Sequence[Trial], splits: Splits) -> Findings:
    """What can be said of the learners that answered every split.

    Means over overlapping training sets have corrected intervals and tests (Nadeau & Bengio 2003); those of the best
    learner against every other one are adjusted after Holm.

    Args:
        trials: in the order of their cost: of equals, the first is taken. At least one is not transductive.
    """
    ranked = sorted(trials, key=lambda trial: (trial.transductive, -float(np.mean(trial.accuracy))))
    best, *others = ranked
    rivals = [trial for trial in others if not trial.transductive]
    sizes = (splits.n_train, splits.n_test)
    leads = {rival.spec: np.subtract(best.accuracy, rival.accuracy) for rival in rivals}
    adjusted = stats.holm([_p_value(best, rival, splits) for rival in rivals])
    p = dict(zip(leads, adjusted, strict=True))
    standings = tuple(
        Standing(
            learner=trial.spec,
            baseline=trial.baseline,
            transductive=trial.transductive,
            accuracy=stats.corrected_interval(trial.accuracy, *sizes),
            behind=stats.corrected_interval(leads[trial.spec], *sizes, bounds=DIFFERENCES)
            if trial.spec in leads
            else None,
            p=p.get(trial.spec),
            non_ok_rate=_non_ok_rate(trial),
            constant=_is_constant(trial, splits),
            seconds=trial.seconds,
            usd=trial.usd,
        )
        for trial in ranked
    )
    majority, count = Counter(str(row.label) for row in splits.rows).most_common(1)[0]
    share = count / len(splits.rows)
    # With as many comparisons, the interval that has to exclude 0 is wider.
    level = 1 - ALPHA / max(1, len(rivals))
    lead = stats.corrected_interval(leads[rivals[0].spec], *sizes, level, DIFFERENCES) if rivals else None
    return Findings(standings, _verdict(standings, rivals, lead, share, len(splits.rows)), majority, share)


def _p_value(best: Trial, rival: Trial, splits: Splits) -> float:
    """That two learners are equally good: the corrected test, or, where all splits show the same difference, McNemar's.

    The latter looks at the rows themselves, all those of the first repeat: each is asked once.
    """
    lead = np.subtract(best.accuracy, rival.accuracy)
    if np.ptp(lead) > ROUNDING:
        return stats.corrected_test(lead, splits.n_train, splits.n_test)
    right = [
        [
            answer.decision == row.label
            for split, answers in zip(splits.splits[: splits.folds], trial.answers, strict=False)
            for row, answer in zip(split.rows, answers, strict=True)
        ]
        for trial in (best, rival)
    ]
    return stats.mcnemar_exact(*right)


def _verdict(
    standings: Sequence[Standing], rivals: Sequence[Trial], lead: Interval | None, share: float, n_texts: int
) -> Verdict:
    best = standings[0]
    runner_up = rivals[0].spec if rivals else None
    p = next((standing.p for standing in standings if standing.learner == runner_up), None)
    above, apart = best.accuracy.low > share, p is None or p < ALPHA
    needed = None
    if not above:
        needed = _texts_needed(best.accuracy, best.accuracy.mean - share, n_texts)
    elif not apart and lead is not None:
        needed = _texts_needed(lead, lead.mean, n_texts)
    return Verdict(best.learner, runner_up, above, above and apart, needed)


def _texts_needed(interval: Interval, distance: float, n_texts: int) -> int | None:
    """About how many texts until an interval no longer reaches as far as `distance` below its mean.

    An extrapolation: the interval is taken to shrink with the root of the number of texts, and its mean to stay.
    """
    if distance <= 0:
        return None
    needed = max(stats.required_texts(interval, n_texts, 2 * distance), math.ceil(1.1 * n_texts))
    return _rounded(needed) if needed <= max(_FARTHEST, _MOST_TIMES * n_texts) else None


def _rounded(number: int) -> int:
    """Upwards, to two digits: more would feign precision."""
    step = 10 ** max(0, len(str(number)) - 2)
    return math.ceil(number / step) * step


def _non_ok_rate(trial: Trial) -> float:
    return float(np.mean([answer.status is not Status.OK for answers in trial.answers for answer in answers]))


def _is_constant(trial: Trial, splits: Splits) -> bool:
    """Pooled over the splits, since those of small data ask too few texts to tell one by one."""
    answers = tuple(answer for answers in trial.answers for answer in answers)
    gold = tuple(str(row.label) for split in splits.splits for row in split.rows)
    return constant_predictor([Scored((), gold, answers)])["flag"]
