"""What the splits say: how good every learner is, which one to take, and how sure that is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evals import stats
from evals.kinds import Scored, kind_named
from evals.metrics import constant_predictor
from evals.recommend.optimism import selection_optimism
from evals.recommend.splits import Splits
from evals.recommend.trial import Trial
from evals.stats import DIFFERENCES, Interval
from evals.stats.intervals import ROUNDING, SCORES
from evals.types import Status

#: Level of the tests behind a recommendation.
ALPHA = 0.05
#: More labels are asked for only where the best learner leaves the majority behind at this level, if not at the usual
#: one: labels that have nothing to do with the texts get there by luck, too, and more of them would settle nothing.
_PROMISING = 0.8
#: What would need more texts than this, and more than so many times those there are, is not foreseen.
_FARTHEST, _MOST_TIMES = 1000, 10


@dataclass(frozen=True)
class SplitScore:
    """One learner on all splits.

    Attributes:
        accuracy: mean over the splits; its interval speaks of other samples of this size. Not corrected for choosing.
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
class Advice:
    """Which learner to take.

    Attributes:
        learner: the best one; transductive ones are not considered.
        accuracy: its mean less `optimism`, with the interval moved along.
        optimism: how much too good it looks because the splits that tell its accuracy have chosen it, too.
        candidates: among how many learners it was chosen.
        runner_up: the next best, or None where there is no other.
        beats_majority: whether it is clearly better than always giving the most frequent label.
        sure: whether it is told apart from the runner-up, too.
        texts_needed: about how many labelled texts would settle what is open; None where nothing is, or where no
            number within reach would.
    """

    learner: str
    accuracy: Interval
    optimism: float
    candidates: int
    runner_up: str | None
    beats_majority: bool
    sure: bool
    texts_needed: int | None


@dataclass(frozen=True)
class Findings:
    """Scores, best first, transductive learners after the others; the advice; the most frequent label; the metric."""

    scores: tuple[SplitScore, ...]
    advice: Advice
    majority: str
    majority_share: float
    metric: str = "accuracy"

    def score(self, learner: str) -> SplitScore:
        """The score of the learner with this name."""
        return next(score for score in self.scores if score.learner == learner)


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
    scores = tuple(
        SplitScore(
            learner=trial.spec,
            baseline=trial.baseline,
            transductive=trial.transductive,
            accuracy=stats.corrected_interval(trial.accuracy, *sizes),
            behind=_behind(best, trial, splits) if trial.spec in leads else None,
            p=p.get(trial.spec),
            non_ok_rate=_non_ok_rate(trial),
            constant=_is_constant(trial, splits),
            seconds=trial.seconds,
            usd=trial.usd,
        )
        for trial in ranked
    )
    majority, share = _most_frequent(trials, splits)
    # With as many comparisons, the interval that has to exclude 0 is wider.
    level = 1 - ALPHA / max(1, len(rivals))
    lead = stats.corrected_interval(leads[rivals[0].spec], *sizes, level, DIFFERENCES) if rivals else None
    optimism = selection_optimism(_right([best, *rivals], splits), seed=splits.splits[0].problem.id)
    hint = _lowered(stats.corrected_interval(best.accuracy, *sizes, _PROMISING), optimism).low > share
    advice = _advice(scores, rivals, lead, optimism, share, hint, len(splits.rows))
    return Findings(scores, advice, majority, share, kind_named(splits.kind).metric)


def _most_frequent(trials: Sequence[Trial], splits: Splits) -> tuple[str, float]:
    """The most frequent label and its share; of other kinds "" and the score of what answers with the most frequent."""
    if splits.kind == "classification":
        majority, count = Counter(str(row.label) for row in splits.rows).most_common(1)[0]
        return majority, count / len(splits.rows)
    return "", max((float(np.mean(trial.accuracy)) for trial in trials if trial.spec == "majority"), default=0.0)


def _p_value(best: Trial, rival: Trial, splits: Splits) -> float:
    """That two learners are equally good: the corrected test, or, where all splits show the same difference, McNemar's.

    The latter looks at the rows themselves, all those of the first repeat: each is asked once.
    """
    lead = np.subtract(best.accuracy, rival.accuracy)
    if np.ptp(lead) > ROUNDING:
        return stats.corrected_test(lead, splits.n_train, splits.n_test)
    first = range(splits.folds)
    best_right, rival_right = (_rights(trial, splits) for trial in (best, rival))
    return stats.mcnemar_exact(*([row == 1 for at in first for row in each[at]] for each in (best_right, rival_right)))


def _behind(best: Trial, rival: Trial, splits: Splits) -> Interval:
    """How far `rival` is behind: nothing, without an interval, where both are right on the same rows of every split."""
    if _rights(best, splits) == _rights(rival, splits):
        return Interval(0.0, 0.0, 0.0, len(best.accuracy), "identical")
    lead = np.subtract(best.accuracy, rival.accuracy)
    return stats.corrected_interval(lead, splits.n_train, splits.n_test, bounds=DIFFERENCES)


def _rights(trial: Trial, splits: Splits) -> list[list[float]]:
    """Per split and row that it asks, how right the answer was: 0 or 1 of a classification."""
    kind = kind_named(splits.kind)
    return [
        [
            kind.score(answer, row.label if row.label is not None else "")
            for row, answer in zip(split.rows, said, strict=True)
        ]
        for split, said in zip(splits.splits, trial.answers, strict=True)
    ]


def _right(trials: Sequence[Trial], splits: Splits) -> NDArray[np.float64]:
    """(n_rows, n_trials) how often each row that is asked was answered rightly, as a share of the repeats."""
    position: dict[str, int] = {}
    for split in splits.splits:
        for row in split.rows:
            position.setdefault(row.id, len(position))
    counts = np.zeros((len(position), len(trials)))
    for column, trial in enumerate(trials):
        for split, rights in zip(splits.splits, _rights(trial, splits), strict=True):
            for row, right in zip(split.rows, rights, strict=True):
                counts[position[row.id], column] += right
    return counts / splits.repeats


def _advice(
    scores: Sequence[SplitScore],
    rivals: Sequence[Trial],
    lead: Interval | None,
    optimism: float,
    share: float,
    hint: bool,
    n_texts: int,
) -> Advice:
    best, runner_up = scores[0], rivals[0].spec if rivals else None
    accuracy = _lowered(best.accuracy, optimism)
    p = next((score.p for score in scores if score.learner == runner_up), None)
    above, apart = accuracy.low > share, p is None or p < ALPHA
    needed = None
    if not above and hint:
        needed = _texts_needed(accuracy, accuracy.mean - share, n_texts)
    elif above and not apart and lead is not None:
        needed = _texts_needed(lead, lead.mean, n_texts)
    return Advice(best.learner, accuracy, optimism, 1 + len(rivals), runner_up, above, above and apart, needed)


def _lowered(found: Interval, by: float) -> Interval:
    lowered = replace(found, mean=max(0.0, found.mean - by), low=found.low - by, high=found.high - by)
    return lowered.within(SCORES)


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
    if splits.kind != "classification":
        return False
    answers = tuple(answer for answers in trial.answers for answer in answers)
    gold = tuple(str(row.label) for split in splits.splits for row in split.rows)
    return constant_predictor([Scored((), gold, answers)])["flag"]
