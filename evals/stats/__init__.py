"""Statistics over episodes: pure functions of arrays, which know neither learners nor stores."""

from __future__ import annotations

from evals.stats.crossover import Crossover, crossover
from evals.stats.intervals import DIFFERENCES, Interval, score_interval, t_interval, wilson_interval
from evals.stats.jackknife import Design, Estimate, TextJackknife, text_interval, text_test
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
from evals.stats.pooled import pooled_f1
from evals.stats.power import detectable_difference, required_episodes, required_texts
from evals.stats.resampling import corrected_interval, corrected_test
from evals.stats.stopping import looks, narrow_enough

__all__ = [
    "DIFFERENCES",
    "Crossover",
    "Design",
    "Estimate",
    "Interval",
    "RankTable",
    "TextJackknife",
    "corrected_interval",
    "corrected_test",
    "crossover",
    "detectable_difference",
    "effect_size",
    "friedman_ranks",
    "holm",
    "looks",
    "mcnemar_exact",
    "narrow_enough",
    "paired_difference",
    "pareto_front",
    "pooled_f1",
    "required_episodes",
    "required_texts",
    "score_interval",
    "sign_flip_test",
    "sign_flip_tests",
    "significance_letters",
    "t_interval",
    "text_interval",
    "text_test",
    "wilcoxon_test",
    "wilson_interval",
]
