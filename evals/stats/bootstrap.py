"""What holds for new texts: a bootstrap over support draws and query texts at once.

Episodes drawn from one pool meet the same texts again and again, so their scores are not independent: an interval over
episodes speaks of this pool alone. Here both the support draw and the query text are random, crossed factors, and the
pigeonhole bootstrap resamples each of them on its own: Owen (2007), "The pigeonhole bootstrap", Annals of Applied
Statistics 1(2); Owen & Eckles (2012), "Bootstrapping data arrays of arbitrary order".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.intervals import DIFFERENCES, ROUNDING, SCORES, Interval, bounded_interval, checked, t_p_value
from fewshot.core.seeds import random_state

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]

#: Resamples at a time: few enough that the weights of thousands of clusters stay in the processor's cache.
_CHUNK = 32


def cluster_interval(
    values: ArrayLike,
    episodes: ArrayLike,
    texts: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    level: float = 0.95,
    n_resamples: int = 400,
    seed: int = 0,
    bounds: tuple[float, float] = SCORES,
) -> Interval:
    """The mean with an interval for new support draws and new texts of the same kind.

    Student's t with the standard error of the bootstrap, not its percentiles. The bootstrap counts the noise of a
    single answer three times (Owen 2007), so two of the three are taken out; what is left agrees with the two-way
    variance of Cameron, Gelbach & Miller (2011). In simulations with 20 to 200 episodes of pools of 20 to 10,000 texts,
    95 % intervals covered the truth in 94 to 97 of 100 samples; percentiles did in 96 to 100, at up to 1.7 times the
    width, and an interval that takes answers for independent in 59 to 95.

    Groups (class split x seed of training) contain their episodes, so that with more than one group whole groups are
    resampled instead of episodes, and the interval speaks of new groups. Degrees of freedom are the smallest number of
    clusters less one: of two groups the quantile is 12.7, of five 2.8. So wide is what two groups can say of others;
    without `groups` the interval speaks of these very groups and says nothing of others. Seeds that only draw other
    episodes of the same pool are no groups.

    Args:
        values: a score, or a difference of two, per observation, (n_observations,).
        episodes, texts, groups: whose observation it is, (n_observations,); anything that sorts. An episode belongs to
            one group.
        level: confidence level.
        n_resamples: 400 give the standard error to about 4 %.
        bounds: the smallest and largest possible value; (-1, 1) for differences of scores.

    Returns:
        An interval within `bounds`, `n` the smallest number of clusters. Where the clusters show no spread, or there is
        only one: Wilson's interval for as many values as there are clusters.

    Raises:
        ValueError: no values, values out of bounds, or arrays of different lengths.
    """
    bootstrap = ClusterBootstrap(checked(values, bounds)[:, None], episodes, texts, groups, n_resamples, seed)
    return bootstrap.estimate([1.0]).interval(bounds, level)


def cluster_test(
    differences: ArrayLike,
    episodes: ArrayLike,
    texts: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_resamples: int = 400,
    seed: int = 0,
) -> float:
    """p-value of no difference on new support draws and new texts; two-sided, of the kind of `cluster_interval`.

    Args:
        differences: of two learners' scores on the same observation, (n_observations,).

    Returns:
        A value in (0, 1]. Where the clusters show no spread: that of n clusters which all lean to one side, 2 / 2^n.
    """
    bootstrap = ClusterBootstrap(checked(differences, DIFFERENCES)[:, None], episodes, texts, groups, n_resamples, seed)
    return bootstrap.estimate([1.0]).p_value


@dataclass(frozen=True, slots=True)
class ClusterEstimate:
    """A mean with its standard error over clusters, which is 0 where they show no spread."""

    mean: float
    error: float
    n_clusters: int

    def interval(self, bounds: tuple[float, float] = SCORES, level: float = 0.95) -> Interval:
        """The interval of `cluster_interval`."""
        if not self.error:
            return bounded_interval(self.mean, self.n_clusters, bounds, level)
        from scipy.special import stdtrit

        margin = float(stdtrit(self.n_clusters - 1, (1 + level) / 2)) * self.error
        found = Interval(self.mean, self.mean - margin, self.mean + margin, self.n_clusters, "cluster bootstrap")
        return found.within(bounds)

    @property
    def p_value(self) -> float:
        """The p-value of `cluster_test`, of a mean of 0."""
        return t_p_value(self.mean, self.error, self.n_clusters)


class ClusterBootstrap:
    """Columns of values that are resampled together: once, for all their means and differences.

    Args:
        columns: (n_observations, n_columns), one per learner.
        episodes, texts, groups, n_resamples: as in `cluster_interval`.

    Attributes:
        replicates: (n_replicates, n_columns) means of the resamples. One that hits no observation has no mean and is
            left out: where clusters are very few, there are less than `n_resamples`.
    """

    def __init__(
        self,
        columns: ArrayLike,
        episodes: ArrayLike,
        texts: ArrayLike,
        groups: ArrayLike | None = None,
        n_resamples: int = 400,
        seed: int = 0,
    ) -> None:
        values = np.asarray(columns, dtype=np.float64)
        design = _Design.of(episodes, texts, groups, len(values))
        self._n_clusters = min(design.shape)
        self._n = len(values)
        self._means = values.mean(axis=0)
        residuals = values - self._means
        tables = [design.table(column) for column in residuals.T]
        # By cell of draw and text, (n_cells, n_columns): all columns fill the same cells.
        self._cells = np.column_stack([table.data for table in tables])
        self._rows, self._columns = tables[0].tocoo().coords
        self._flat = np.ptp(residuals, axis=0) <= ROUNDING
        self.replicates = self._means + _replicates(design, tables, n_resamples, seed)

    def estimate(self, weights: Sequence[float]) -> ClusterEstimate:
        """The mean of a combination of the columns: (1, 0) for the first one, (1, -1) for a difference.

        Args:
            weights: (n_columns,).
        """
        combined = np.asarray(weights, dtype=np.float64)
        mean, n_clusters = float(self._means @ combined), self._n_clusters
        if n_clusters < 2 or self._flat[combined != 0].all():
            return ClusterEstimate(mean, 0.0, n_clusters)
        residuals = self._cells @ combined
        one_way = [
            len(sums) / (len(sums) - 1) * float(sums @ sums) / self._n**2
            for sums in (np.bincount(keys, residuals) for keys in (self._rows, self._columns))
        ]
        noise = float(residuals @ residuals) / self._n**2
        replicates = self.replicates @ combined
        spread = float(np.var(replicates)) - 2 * noise if replicates.size else 0.0
        # A difference of variances can fall below zero by chance; the truth is no smaller than either factor alone.
        variance = max(n_clusters / (n_clusters - 1) * spread, *one_way)
        return ClusterEstimate(mean, variance**0.5 if variance > ROUNDING**2 else 0.0, n_clusters)


@dataclass(frozen=True)
class _Design:
    """Which support draw (or group) met which text: two arrays of cluster numbers, (n_observations,)."""

    draws: NDArray[np.intp]
    texts: NDArray[np.intp]

    @classmethod
    def of(cls, episodes: ArrayLike, texts: ArrayLike, groups: ArrayLike | None, n: int) -> _Design:
        keys = [np.asarray(array) for array in (episodes, texts, groups) if array is not None]
        if not n or any(array.shape != (n,) for array in keys):
            raise ValueError(f"every array needs one entry per observation: {n}, not {[len(key) for key in keys]}")
        codes = [np.unique(array, return_inverse=True)[1] for array in keys]
        grouped = groups is not None and codes[2].max() > 0
        return cls(codes[2] if grouped else codes[0], codes[1])

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.draws.max()) + 1, int(self.texts.max()) + 1

    def table(self, values: Floats) -> csr_array:
        """The sums of values, (n_draws, n_texts)."""
        from scipy.sparse import csr_array

        table = csr_array((values, (self.draws, self.texts)), shape=self.shape)
        table.sum_duplicates()
        return table


def _replicates(design: _Design, tables: list[csr_array], n_resamples: int, seed: int) -> Floats:
    """Means of the tables under random weights, w'Yv / w'Nv, (n_replicates, n_tables)."""
    random = random_state("cluster bootstrap", seed)
    tables = [design.table(np.ones(len(design.texts))), *tables]
    chunks = []
    for start in range(0, n_resamples, _CHUNK):
        size = min(_CHUNK, n_resamples - start)
        draws, texts = (multiplicities(random, n, size) for n in design.shape)
        chunks.append([np.einsum("ij,ij->j", draws, table @ texts) for table in tables])
    counts, *sums = np.concatenate(chunks, axis=1)
    return (np.array(sums) / np.where(counts, counts, np.nan))[:, counts > 0].T


def multiplicities(random: np.random.RandomState, n: int, size: int) -> Floats:
    """How often each of `n` clusters is drawn in each of `size` resamples of n with replacement, (n, size)."""
    # Thrice as fast as randint.
    drawn = (n * random.random_sample((n, size))).astype(np.intp) * size + np.arange(size)
    return np.bincount(drawn.ravel(), minlength=n * size).reshape(n, size).astype(np.float64)
