"""Statistics over episodes: pure functions of arrays, which know neither learners nor stores."""

from __future__ import annotations

from evals.stats.bootstrap import ClusterBootstrap, ClusterEstimate, cluster_interval, cluster_test
from evals.stats.crossover import Crossover, crossover
from evals.stats.intervals import DIFFERENCES, Interval, score_interval, t_interval, wilson_interval
from evals.stats.multiple import RankTable, friedman_ranks, holm, significance_letters
from evals.stats.paired import (
    effect_size,
    mcnemar_exact,
    paired_difference,
    sign_flip_test,
    sign_flip_tests,
    wilcoxon_test,
)
from evals.stats.pareto import pareto_front
from evals.stats.power import detectable_difference, required_episodes, required_texts
from evals.stats.resampling import corrected_interval, corrected_test

__all__ = [
    "DIFFERENCES",
    "ClusterBootstrap",
    "ClusterEstimate",
    "Crossover",
    "Interval",
    "RankTable",
    "cluster_interval",
    "cluster_test",
    "corrected_interval",
    "corrected_test",
    "crossover",
    "detectable_difference",
    "effect_size",
    "friedman_ranks",
    "holm",
    "mcnemar_exact",
    "paired_difference",
    "pareto_front",
    "required_episodes",
    "required_texts",
    "score_interval",
    "sign_flip_test",
    "sign_flip_tests",
    "significance_letters",
    "t_interval",
    "wilcoxon_test",
    "wilson_interval",
]
