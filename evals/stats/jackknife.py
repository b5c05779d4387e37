"""What holds for new texts: a jackknife over texts, each in both of its roles.

Episodes drawn from one pool meet the same texts again and again: an interval over episodes speaks of this pool alone.
The mean over episodes is an incomplete U-statistic of the pool's texts: what is estimated is the expected accuracy of
the learner with as many support texts per class drawn from where the pool was drawn, on new texts of the same classes.
A text moves that mean as a query and as a support text at once; the squares of these influences, summed up, are its
variance: Arvesen (1969), "Jackknifing U-statistics", Annals of Mathematical Statistics 40. Episodes are a sample of
all that the pool allows, so their own noise is taken out of the squares and counted once: Wager, Hastie & Efron (2014),
"Confidence intervals for random forests: the jackknife and the infinitesimal jackknife", JMLR 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.intervals import (
    DIFFERENCES,
    ROUNDING,
    SCORES,
    Interval,
    bounded_interval,
    checked,
    logit_interval,
    t_p_value,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Design:
    """Which texts each episode shows and asks. Texts, episodes, classes and groups are numbered from 0.

    Attributes:
        episode, query: (n_observations,) whose observation it is: the episode, and the text that was asked.
        support_episode, support: (n_shown,) an episode, and a text that it shows; both empty without support.
        text_class: (n_texts,) class of every text, query or support; a negative number for texts without one.
        group: (n_episodes,) class split and seed of every episode, or None where the statement is about these alone.
    """

    episode: Ints
    query: Ints
    support_episode: Ints
    support: Ints
    text_class: Ints
    group: Ints | None = None

    @classmethod
    def of(
        cls,
        episodes: ArrayLike,
        queries: ArrayLike,
        support: tuple[ArrayLike, ArrayLike] | None = None,
        classes: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Design:
        """A design from arrays of integers; texts that are shown and texts that are asked share their numbers.

        Args:
            support: episodes and the texts that they show, (n_shown,) each; None without support.
            classes: (n_texts,); None where texts have no class.
        """
        episode, query = (np.asarray(array, dtype=np.intp).ravel() for array in (episodes, queries))
        shown = support or (np.empty(0, np.intp), np.empty(0, np.intp))
        support_episode, text = (np.asarray(array, dtype=np.intp).ravel() for array in shown)
        if not episode.size or episode.shape != query.shape or support_episode.shape != text.shape:
            raise ValueError("every observation needs one entry: its episode, and its text")
        n_texts = int(max(query.max(), text.max(initial=-1))) + 1
        known = np.full(n_texts, -1) if classes is None else np.asarray(classes, dtype=np.intp)
        return cls(episode, query, support_episode, text, known, None if groups is None else np.asarray(groups))

    def chosen(self, where: NDArray[np.bool_]) -> Design:
        """Only these observations, and the support of their episodes; every number stays."""
        shown = np.isin(self.support_episode, self.episode[where])
        return replace(
            self,
            episode=self.episode[where],
            query=self.query[where],
            support_episode=self.support_episode[shown],
            support=self.support[shown],
        )

    @cached_property
    def n(self) -> int:
        """The smaller of the numbers of episodes and of texts that were asked."""
        return min(len(np.unique(self.episode)), len(np.unique(self.query)))

    def apart(self) -> Design:
        """The same design as if every group had texts of its own."""
        assert self.group is not None
        step = len(self.text_class)
        return replace(
            self,
            query=self.query + step * self.group[self.episode],
            support=self.support + step * self.group[self.support_episode],
            text_class=np.tile(self.text_class, int(self.group.max()) + 1),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its standard error for new texts, which is 0 where nothing varies.

    Attributes:
        df: degrees of freedom. n: the smaller of the numbers of episodes and of texts that were asked.
        identical: whether every single value is 0.
    """

    mean: float
    error: float
    df: float
    n: int
    identical: bool = False

    def interval(self, bounds: tuple[float, float] = SCORES, level: float = 0.95) -> Interval:
        """Student's t: for scores on the scale of their logit, so that it holds near 0 and 1; Wilson's without spread.

        Differences that are all 0 have an interval of no width.
        """
        if self.identical and bounds == DIFFERENCES:
            return Interval(0.0, 0.0, 0.0, self.n, "identical")
        if not self.error:
            return bounded_interval(self.mean, self.n, bounds, level)
        from scipy.special import stdtrit

        margin = float(stdtrit(self.df, (1 + level) / 2)) * self.error
        if bounds == SCORES:
            return logit_interval(self.mean, margin, self.n)
        return Interval(self.mean, self.mean - margin, self.mean + margin, self.n, "text jackknife").within(bounds)

    @property
    def p_value(self) -> float:
        """Two-sided, of a mean of 0; of the kind of `interval`. Without spread that of n values that all lean alike."""
        return t_p_value(self.mean, self.error, self.n, df=self.df)


class TextJackknife:
    """Means of columns of values, and of their combinations, for new texts.

    The texts of a class are a sample of their own, as every episode asks and shows as many of each: influences are
    centred by class. Leaving a text out moves the mean by its influence times n / (n - m), as for any U-statistic, with
    n texts of the class and m of them in the support and the query of one answer: K + 1 / way. The variance errs
    upwards where effects of pairs of texts matter, that is in small pools (Efron & Stein 1981).

    Groups (class split x seed) are a further factor: what parts them beyond their texts and episodes is added, with as
    many degrees of freedom as there are groups less one. Groups that share their texts are no independent samples.

    Args:
        columns: (n_observations, n_columns), one per learner.
    """

    def __init__(self, columns: ArrayLike, design: Design) -> None:
        values = np.asarray(columns, dtype=np.float64)
        if values.ndim != 2 or len(values) != len(design.episode):
            raise ValueError(f"every observation needs one row: {len(design.episode)}, not {values.shape}")
        self._n, self._means = design.n, values.mean(axis=0)
        self._values = values
        residuals = (values - self._means) / len(values)
        self.influences, self._by_class, self._sizes = _text_part(residuals, design)
        _, of_episode = np.unique(design.episode, return_inverse=True)
        sums = _sums(of_episode, residuals, int(of_episode.max()) + 1)
        self._n_episodes = len(sums)
        self._draws = _outer(sums) * self._n_episodes / max(self._n_episodes - 1, 1)
        self._groups: tuple[Floats, int] | None = None
        if design.group is not None and (n_groups := len(np.unique(design.group[design.episode]))) > 1:
            _, of_group = np.unique(design.group[design.episode], return_inverse=True)
            between = _outer(_sums(of_group, residuals, n_groups)) * n_groups / (n_groups - 1)
            apart = _text_part(residuals, design.apart())[1].sum(axis=0)
            within = self._draws + (n_groups * apart - self._by_class.sum(axis=0)) / (n_groups - 1)
            self._groups = between - within, n_groups

    def estimate(self, weights: Sequence[float]) -> Estimate:
        """The mean of a combination of the columns: (1, 0) for the first one, (1, -1) for a difference.

        Args:
            weights: (n_columns,).
        """
        w = np.asarray(weights, dtype=np.float64)
        mean = float(self._means @ w)
        combined = self._values[:, w != 0] @ w[w != 0]
        if np.ptp(combined) <= ROUNDING or self._n < 2:
            return Estimate(mean, 0.0, 1.0, self._n, bool((np.abs(combined) <= ROUNDING).all()))
        of_class = np.einsum("cij,i,j->c", self._by_class, w, w)
        draws = float(w @ self._draws @ w)
        parts = [*zip(of_class.tolist(), self._sizes.tolist(), strict=True), (draws, self._n_episodes)]
        # The noise that is taken out may exceed by chance what is there; the truth is no smaller than the draws alone.
        texts = max(float(of_class.sum()), 0.0)
        groups = 0.0
        if self._groups is not None:
            groups = max(float(w @ self._groups[0] @ w), 0.0)
            parts.append((groups, self._groups[1]))
        variance = texts + draws + groups
        if variance <= ROUNDING**2:
            return Estimate(mean, 0.0, 1.0, self._n)
        # Satterthwaite 1946; never more than the episodes have, so that what holds for new texts holds for this pool.
        df = variance**2 / sum(part**2 / max(n - 1, 1) for part, n in parts)
        return Estimate(mean, variance**0.5, min(max(df, 1.0), max(self._n_episodes - 1, 1)), self._n)


def text_interval(
    values: ArrayLike, design: Design, *, level: float = 0.95, bounds: tuple[float, float] = SCORES
) -> Interval:
    """The mean with an interval for new texts of the same classes, shown and asked.

    Args:
        values: a score, or a difference of two, per observation, (n_observations,).
        bounds: the smallest and largest possible value; (-1, 1) for differences of scores.

    Raises:
        ValueError: no values, values out of bounds, or arrays of different lengths.
    """
    return TextJackknife(checked(values, bounds)[:, None], design).estimate([1.0]).interval(bounds, level)


def text_test(differences: ArrayLike, design: Design) -> float:
    """p-value of no difference on new texts; two-sided, in (0, 1], of the kind of `text_interval`.

    Args:
        differences: of two learners' scores on the same observation, (n_observations,).
    """
    return TextJackknife(checked(differences, DIFFERENCES)[:, None], design).estimate([1.0]).p_value


def _text_part(residuals: Floats, design: Design) -> tuple[Floats, Floats, Ints]:
    """What texts contribute to the variance of the means.

    Args:
        residuals: (n_observations, n_columns) values less their mean, divided by the number of observations.

    Returns:
        (n_texts, n_columns) influences, centred by class; (n_classes, n_columns, n_columns) variances and covariances
        by class, unbiased for the noise of the episodes; (n_classes,) how many texts each class has.
    """
    stratum = _strata(design)
    n_texts, n_strata = len(stratum), int(stratum.max()) + 1
    sizes = np.bincount(stratum[stratum >= 0], minlength=n_strata)
    n_episodes = int(design.episode.max()) + 1
    sums = _sums(design.episode, residuals, n_episodes)
    # One entry per episode and class that it shows or asks.
    asked = design.episode * n_strata + stratum[design.query]
    shown = design.support_episode * n_strata + stratum[design.support]
    keys, place = np.unique(np.concatenate([asked, shown]), return_inverse=True)
    at_query, at_support = place[: len(asked)], place[len(asked) :]
    counts = np.bincount(at_support, minlength=len(keys)).astype(np.float64)
    of_key = keys % n_strata
    own = (
        np.bincount(at_query, minlength=len(keys)) / np.bincount(design.episode, minlength=n_episodes)[keys // n_strata]
    )
    share = _replaced(counts, own, of_key, sizes)
    as_query = residuals * share[stratum[design.query]][:, None]
    episode_sums = sums[keys // n_strata] * share[of_key][:, None]
    influences = _sums(design.query, as_query, n_texts)
    influences += _sums(design.support, episode_sums[at_support], n_texts)
    together = _sums(at_query, as_query, len(keys)) + counts[:, None] * episode_sums
    seen = stratum >= 0
    centred = influences.copy()
    centred[seen] -= (_sums(stratum[seen], influences[seen], n_strata) / sizes[:, None])[stratum[seen]]
    variances = (
        _outer_by(stratum[seen], centred[seen], n_strata)
        - _outer_by(stratum[design.query], as_query, n_strata)
        - _outer_by(of_key, np.sqrt(counts)[:, None] * episode_sums, n_strata)
        + _outer_by(of_key, together, n_strata) / sizes[:, None, None]
    )
    return centred, variances * ((sizes - 1) / sizes)[:, None, None], sizes


def _strata(design: Design) -> Ints:
    """(n_texts,) the class of every text that occurs, numbered anew, or -1 for texts that do not.

    Where no text is both shown and asked, the two come from separate pools, and classes of both are told apart. Classes
    of which only one text occurs are put together: a text alone has nothing to be compared with.
    """
    n = len(design.text_class)
    asked, shown = np.zeros(n, bool), np.zeros(n, bool)
    asked[design.query], shown[design.support] = True, True
    seen = asked | shown
    separate = not (asked & shown).any()
    keys = 2 * np.maximum(design.text_class, -1) + 2 + (shown & separate)
    _, stratum, counts = np.unique(keys[seen], return_inverse=True, return_counts=True)
    stratum = np.where(counts[stratum] == 1, -1, stratum)
    found = np.full(n, -1, dtype=np.intp)
    found[seen] = np.unique(stratum, return_inverse=True)[1]
    return found


def _replaced(shown: Floats, asked: Floats, of_key: Ints, sizes: Ints) -> Floats:
    """(n_strata,) n / (n - m), m being how many texts of a class an answer takes that takes any.

    Args:
        shown: (n_keys,) support texts of a class in an episode. asked: share of its queries that are of that class.
    """
    shows = shown > 0
    episodes = np.bincount(of_key[shows], minlength=len(sizes))
    taken = np.bincount(of_key[shows], (shown + asked)[shows], len(sizes)) / np.maximum(episodes, 1)
    # A class of which everything is always shown leaves nothing to put in a text's place.
    return np.asarray(sizes / np.maximum(sizes - np.maximum(taken, 1), 1), dtype=np.float64)


def _sums(keys: Ints, values: Floats, n: int) -> Floats:
    """(n, n_columns) the sums of the rows of each key."""
    return np.array([np.bincount(keys, column, n) for column in values.T], dtype=np.float64).T


def _outer(values: Floats) -> Floats:
    return values.T @ values


def _outer_by(keys: Ints, values: Floats, n: int) -> Floats:
    """(n, n_columns, n_columns) the sums of the rows' outer products, per key."""
    order = np.argsort(keys, kind="stable")
    ends = np.searchsorted(keys[order], np.arange(n + 1))
    ordered = values[order]
    return np.array([_outer(ordered[low:high]) for low, high in pairwise(ends.tolist())])
