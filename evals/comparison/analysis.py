"""What a table says: every learner's standing, every pair's difference, who wins and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals import stats
from evals.alarms import Group, alarm_of
from evals.comparison.tables import STATUSES, Floats, Outcome, Table
from evals.stats import DIFFERENCES, Estimate, Interval, TextJackknife
from evals.types import Status, Usage

#: Level of the tests behind a winner and the letters.
ALPHA = 0.05


@dataclass(frozen=True)
class Standing:
    """One learner in one table.

    Attributes:
        accuracy: mean over episodes with the t interval: it speaks of episodes from this pool of texts.
        new_texts: the same mean with the interval of the jackknife over texts: it speaks of new texts, shown and
            asked, and holds `accuracy`.
        pooled: where the kind counts items (entities, labels), their F1 over all episodes together.
        accuracy_ok: over the answers with status ok alone, or None where there are none.
        status: "ok"; "stopped" where an early stop was asked for and reached; "partial" where episodes of the table
            have no answer.
        constant_predictor: the alarm about a learner that gives one label to nearly all, as in a run's result.
        letters: learners that share a letter are not told apart, on new texts.
        on_front: whether no other learner is both cheaper and better (seconds, and USD where money is spent);
            transductive learners have a front of their own.
        usd: None is unknown.
    """

    learner: str
    baseline: bool
    transductive: bool
    accuracy: Interval
    new_texts: Interval
    pooled: Interval | None
    accuracy_ok: float | None
    non_ok_rate: float
    statuses: Mapping[str, int]
    n_episodes: int
    n_queries: int
    status: str
    constant_predictor: Mapping[str, Any]
    letters: str
    on_front: bool
    seconds: float
    usage: Mapping[str, Usage]
    usd: float | None

    @property
    def seconds_per_query(self) -> float:
        return self.seconds / self.n_queries


@dataclass(frozen=True)
class Pair:
    """The difference a - b on the episodes that both answered.

    Attributes:
        difference: mean over episodes with its t interval: this pool of texts.
        new_texts: the same with the jackknife over texts; it holds `difference`.
        p: sign-flip permutation over episodes. p_new_texts: jackknife over texts. Both two-sided.
        p_holm, p_new_texts_holm: Holm-adjusted over all pairs of the table.
        p_mcnemar: exact, over queries; None for metrics other than right or wrong.
        p_wilcoxon: signed ranks of episodes.
        effect: Cohen's d of the paired differences.
    """

    a: str
    b: str
    difference: Interval
    new_texts: Interval
    p: float
    p_holm: float
    p_new_texts: float
    p_new_texts_holm: float
    p_mcnemar: float | None
    p_wilcoxon: float
    effect: float

    @property
    def identical(self) -> bool:
        """Whether both scored the same on every query."""
        return self.difference.is_identical

    def reversed(self) -> Pair:
        """The same pair as b - a."""
        return replace(
            self,
            a=self.b,
            b=self.a,
            difference=-self.difference,
            new_texts=-self.new_texts,
            effect=-self.effect,
        )


@dataclass(frozen=True)
class Verdict:
    """Who is best at one table.

    Attributes:
        winner: the learner with the highest mean, transductive and partial ones left out; None where new texts might
            show even that one to be no better than chance.
        apart: transductive learners whose mean is above that of the winner, best first.
        tied: learners that new texts might show to be as good: Holm-adjusted p of 0.05 or more.
        identical: those of them that scored exactly as the winner did, query by query.
    """

    winner: str | None
    tied: tuple[str, ...]
    identical: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """A table and what it says. Standings come best first, after them partial learners, then transductive ones."""

    table: Table
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict

    def standing(self, learner: str) -> Standing:
        """The standing of the learner with this name."""
        return next(standing for standing in self.standings if standing.learner == learner)

    @property
    def best(self) -> Standing:
        """The standing that the others are held against, be it no better than chance."""
        return self.standings[0]

    @property
    def blocks(self) -> tuple[tuple[Standing, ...], tuple[Standing, ...]]:
        """The standings of learners that answer every query by itself, and those of transductive ones."""
        at = sum(not standing.transductive for standing in self.standings)
        return self.standings[:at], self.standings[at:]

    def behind(self, learner: str) -> Pair | None:
        """The best learner minus this one; None for the best itself, and for one that shares no episode with it."""
        wanted = {self.best.learner, learner}
        return self.pair(self.best.learner, learner) if any({p.a, p.b} == wanted for p in self.pairs) else None

    def pair(self, a: str, b: str) -> Pair:
        """The pair of two learners as a - b, in whichever order it is kept."""
        found = next(pair for pair in self.pairs if {pair.a, pair.b} == {a, b})
        return found if found.a == a else found.reversed()


def analyse(table: Table, *, seed: int = 0) -> Analysis:
    """Standings, pairs and verdict of a table.

    Args:
        seed: of permutations.
    """
    means = {outcome.learner: table.episode_means(outcome) for outcome in table.outcomes}
    statuses = {outcome.learner: _status(outcome, means[outcome.learner]) for outcome in table.outcomes}
    ranked = sorted(
        table.outcomes,
        key=lambda each: (each.transductive, statuses[each.learner] == "partial", -_mean(each), each.learner),
    )
    estimator = _Estimator(table)
    pairs = _pairs(table, ranked, means, estimator, seed)
    letters = _letters(ranked, pairs)
    # They are ranked last, so the two fronts, one after the other, are in the order of the ranking.
    pooled = [stats.pooled_f1(table.episode_counts(each), seed) if table.pooled else None for each in ranked]
    front = [*_front([o for o in ranked if not o.transductive]), *_front([o for o in ranked if o.transductive])]
    standings = tuple(
        _standing(table, outcome, means[outcome.learner], statuses[outcome.learner], estimator, items, letter, on_front)
        for outcome, items, letter, on_front in zip(ranked, pooled, letters, front, strict=True)
    )
    return Analysis(table, standings, tuple(pairs), _verdict(standings, pairs, table.chance))


def _status(outcome: Outcome, means: Floats) -> str:
    if outcome.answered.all():
        return "ok"
    enough = stats.narrow_enough(means[np.isfinite(means)].tolist(), outcome.until_ci)
    return "stopped" if enough else "partial"


def _standing(
    table: Table,
    outcome: Outcome,
    means: Floats,
    status: str,
    estimator: _Estimator,
    pooled: Interval | None,
    letters: str,
    on_front: bool,
) -> Standing:
    answered = outcome.answered
    scored = means[np.isfinite(means)]
    ok = outcome.status == STATUSES.index(Status.OK)
    statuses = Counter(STATUSES[code].value for code in outcome.status[answered].tolist())
    accuracy = stats.score_interval(scored.tolist())
    return Standing(
        learner=outcome.learner,
        baseline=outcome.baseline,
        transductive=outcome.transductive,
        accuracy=accuracy,
        new_texts=estimator.mean(outcome).interval().around(accuracy),
        pooled=pooled,
        accuracy_ok=float(outcome.score[ok].mean()) if ok.any() else None,
        non_ok_rate=1 - float(ok[answered].mean()),
        statuses=dict(sorted(statuses.items())),
        n_episodes=len(scored),
        n_queries=int(answered.sum()),
        status=status,
        constant_predictor=_constant_predictor(table, outcome),
        letters=letters,
        on_front=on_front,
        seconds=outcome.seconds,
        usage=outcome.usage,
        usd=outcome.usd,
    )


def _constant_predictor(table: Table, outcome: Outcome) -> dict[str, Any]:
    groups: list[Group] = [(Counter(), Counter()) for _ in range(table.n_episodes)]
    known = (outcome.status == STATUSES.index(Status.OK)) & (outcome.decision >= 0)
    for episode, decision in zip(table.episode[known].tolist(), outcome.decision[known].tolist(), strict=True):
        groups[episode][0][decision] += 1
    for episode, gold in zip(table.episode.tolist(), table.gold.tolist(), strict=True):
        groups[episode][1][gold] += 1
    return alarm_of(groups)


class _Estimator:
    """Means and differences on new texts. Learners that answered everything share their sums."""

    def __init__(self, table: Table) -> None:
        self._table = table
        # In an order that does not depend on who was read first: shards say the same as the whole, to the last bit.
        outcomes = sorted(table.outcomes, key=lambda outcome: outcome.learner)
        complete = [outcome for outcome in outcomes if outcome.answered.all()]
        self._column = {outcome.learner: at for at, outcome in enumerate(complete)}
        columns = [outcome.score for outcome in complete]
        self._shared = TextJackknife(np.column_stack(columns), table.design) if complete else None

    def mean(self, outcome: Outcome) -> Estimate:
        """A learner's mean over all that it answered."""
        if self._shared is not None and outcome.learner in self._column:
            return self._shared.estimate(self._weights({outcome.learner: 1.0}))
        return self._apart(outcome.score, outcome.answered)

    def difference(self, a: Outcome, b: Outcome) -> Estimate:
        """a - b over all that both answered."""
        if self._shared is not None and a.learner in self._column and b.learner in self._column:
            return self._shared.estimate(self._weights({a.learner: 1.0, b.learner: -1.0}))
        return self._apart(a.score - b.score, a.answered & b.answered)

    def _weights(self, of_learner: Mapping[str, float]) -> list[float]:
        return [of_learner.get(learner, 0.0) for learner in self._column]

    def _apart(self, scores: Floats, where: NDArray[np.bool_]) -> Estimate:
        return TextJackknife(scores[where][:, None], self._table.design.chosen(where)).estimate([1.0])


def _pairs(
    table: Table, ranked: Sequence[Outcome], means: Mapping[str, Floats], estimator: _Estimator, seed: int
) -> list[Pair]:
    """Every pair that answered a common episode."""
    couples = [(a, b) for a, b in combinations(ranked, 2) if (a.answered & b.answered).any()]
    if not couples:
        return []
    # An episode that one of the two did not answer counts as no difference, which the test leaves out.
    differences = [np.nan_to_num(means[a.learner] - means[b.learner]) for a, b in couples]
    p_values = stats.sign_flip_tests(np.column_stack(differences), seed=seed)
    on_new_texts = [estimator.difference(a, b) for a, b in couples]
    tests = zip(
        p_values,
        stats.holm(p_values),
        on_new_texts,
        stats.holm([found.p_value for found in on_new_texts]),
        strict=True,
    )
    return [_pair(table, a, b, means, *found) for (a, b), found in zip(couples, tests, strict=True)]


def _pair(
    table: Table,
    a: Outcome,
    b: Outcome,
    means: Mapping[str, Floats],
    p: float,
    p_holm: float,
    on_new_texts: Estimate,
    p_new_texts_holm: float,
) -> Pair:
    shared = np.isfinite(means[a.learner]) & np.isfinite(means[b.learner])
    means_a, means_b = means[a.learner][shared], means[b.learner][shared]
    both = a.answered & b.answered
    right_or_wrong = table.metric == "accuracy"
    difference, new_texts = stats.paired_difference(means_a, means_b), on_new_texts.interval(DIFFERENCES)
    if new_texts.is_identical:
        difference = replace(new_texts, n=difference.n)
    return Pair(
        a=a.learner,
        b=b.learner,
        difference=difference,
        new_texts=new_texts.around(difference),
        p=p,
        p_holm=p_holm,
        p_new_texts=on_new_texts.p_value,
        p_new_texts_holm=p_new_texts_holm,
        p_mcnemar=stats.mcnemar_exact(a.score[both] == 1, b.score[both] == 1) if right_or_wrong else None,
        p_wilcoxon=stats.wilcoxon_test(means_a - means_b),
        effect=stats.effect_size(means_a - means_b),
    )


def _letters(ranked: Sequence[Outcome], pairs: Sequence[Pair]) -> list[str]:
    names = [outcome.learner for outcome in ranked]
    p = np.ones((len(names), len(names)))
    for pair in pairs:
        i, j = names.index(pair.a), names.index(pair.b)
        p[i, j] = p[j, i] = pair.p_new_texts_holm
    return stats.significance_letters([_mean(outcome) for outcome in ranked], p, ALPHA)


def _mean(outcome: Outcome) -> float:
    return float(np.nanmean(outcome.score))


def _front(ranked: Sequence[Outcome]) -> list[bool]:
    """Whether each learner is on the front of score and seconds, or of score and money where money is spent."""
    if not ranked:
        return []
    scores = [_mean(outcome) for outcome in ranked]
    fronts = [stats.pareto_front([outcome.seconds for outcome in ranked], scores)]
    if any(outcome.usd != 0 for outcome in ranked):
        fronts.append(stats.pareto_front([outcome.usd for outcome in ranked], scores))
    return [any(flags) for flags in zip(*fronts, strict=True)]


def _verdict(standings: Sequence[Standing], pairs: Sequence[Pair], chance: float | None) -> Verdict:
    eligible = [s for s in standings if not s.transductive and s.status != "partial"]
    if not eligible or (chance is not None and eligible[0].new_texts.low <= chance):
        return Verdict(None, ())
    winner, *others = (standing.learner for standing in eligible)
    told_apart = {
        name
        for pair in pairs
        if winner in (pair.a, pair.b) and pair.p_new_texts_holm < ALPHA
        for name in (pair.a, pair.b)
    }
    alike = {name for pair in pairs if pair.identical and winner in (pair.a, pair.b) for name in (pair.a, pair.b)}
    tied = tuple(name for name in others if name not in told_apart)
    better = (s.learner for s in standings if s.transductive and s.accuracy.mean > eligible[0].accuracy.mean)
    return Verdict(winner, tied, tuple(name for name in tied if name in alike), tuple(better))
