"""How often a test finds a difference where there is none: its false positive rate, simulated.

Two learners of equal expected accuracy answer episodes drawn from a finite pool of texts. Texts differ in difficulty,
each learner has texts and support draws that suit it better than the other, and an answer is right by chance. On one
pool the learners may well differ, because its texts happen to suit one of them: that is a true difference on this pool
and a false positive for new texts. So the null hypothesis is simulated twice: true on average over pools, and true on
the very pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evals.stats.intervals import Interval, wilson_interval
from evals.stats.jackknife import Design, text_test
from evals.stats.paired import sign_flip_test
from evals.stats.stopping import looks, narrow_enough
from fewshot.core.seeds import random_state

Floats = NDArray[np.float64]

TestName = Literal["sign flip", "jackknife"]
Stopping = Literal["fixed", "until-ci", "until significant"]
Null = Literal["pool", "population"]

_TESTS: tuple[TestName, ...] = ("sign flip", "jackknife")

#: Quick, and 5 % is one of the p-values that 199 sign flips can give: 10 / 200.
_RESAMPLES = 199


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is drawn and when it ends.

    Attributes:
        most: episodes drawn if nothing stops the draw.
        n_queries: per episode, all of them different texts.
        until_ci: points to either side at which `until-ci` stops a learner, by the rule of every run.
        text_effect: how far a text moves a learner's chance of being right from the other's, at most.
        draw_effect: the same for a support draw.
    """

    most: int = 300
    n_queries: int = 10
    until_ci: float = 3.0
    text_effect: float = 0.3
    draw_effect: float = 0.1


def false_positive_rates(
    n_texts: int, null: Null, n_simulations: int, protocol: Protocol | None = None, seed: int = 0
) -> Mapping[tuple[TestName, Stopping], Interval]:
    """The share of simulated comparisons with p <= 0.05, per test and stopping rule, on the same draws.

    Args:
        n_texts: rows in the pool.
        null: where the learners are equal: on each pool, or on average over pools.
    """
    protocol = protocol or Protocol()
    found = []
    for at in range(n_simulations):
        random = random_state("false positives", n_texts, null, at, seed)
        found.append(_outcomes(*draw(n_texts, null, protocol, random), protocol, seed=at))
    return {key: wilson_interval(sum(outcome[key] for outcome in found), n_simulations) for key in found[0]}


def draw(
    n_texts: int, null: Null, protocol: Protocol, random: np.random.RandomState
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Whether each of two learners is right, and the texts that are asked, all (n_episodes, n_queries)."""
    # Bounded effects around a bounded base, so that no chance leaves [0, 1] and expectations stay equal.
    reach = (protocol.text_effect + protocol.draw_effect) / 2
    base = random.uniform(reach, 1 - reach, n_texts)
    lean = random.uniform(-1, 1, n_texts)
    if null == "pool":
        # Taken together, the texts of this pool suit neither.
        lean -= lean.mean()
        lean /= max(np.abs(lean).max(), 1.0)
    texts = np.array([random.choice(n_texts, protocol.n_queries, replace=False) for _ in range(protocol.most)])
    suits = random.uniform(-1, 1, (protocol.most, 1))
    half = (protocol.text_effect * lean[texts] + protocol.draw_effect * suits) / 2
    a = random.random_sample(texts.shape) < base[texts] + half
    b = random.random_sample(texts.shape) < base[texts] - half
    return a.astype(np.float64), b.astype(np.float64), texts


def _outcomes(
    a: Floats, b: Floats, texts: NDArray[np.intp], protocol: Protocol, seed: int
) -> dict[tuple[TestName, Stopping], bool]:
    """Whether each test finds a difference under each stopping rule."""
    looked = looks(protocol.most, protocol.until_ci)
    # Each learner stops by itself; two are compared on the episodes that both answered.
    enough = min(_stopped(scores, looked, protocol.until_ci) for scores in (a, b))
    differences = a - b
    outcomes: dict[tuple[TestName, Stopping], bool] = {}
    for test in _TESTS:
        rejected = {n: p_value(test, differences[:n], texts[:n], seed) <= 0.05 for n in looked}
        outcomes[test, "fixed"] = rejected[protocol.most]
        outcomes[test, "until-ci"] = rejected[enough]
        outcomes[test, "until significant"] = any(rejected.values())
    return outcomes


def p_value(test: TestName, differences: Floats, texts: NDArray[np.intp], seed: int) -> float:
    """The test's p-value for differences per query and the queries' texts, both (n_episodes, n_queries).

    Args:
        seed: another one for every simulation; resamples they shared would err to the same side.
    """
    if test == "sign flip":
        return sign_flip_test(differences.mean(axis=1), n_resamples=_RESAMPLES, seed=seed)
    episodes = np.repeat(np.arange(len(texts)), texts.shape[1])
    return text_test(differences.ravel(), Design.of(episodes, texts))


def _stopped(scores: Floats, looked: Sequence[int], until_ci: float) -> int:
    """After how many episodes a learner has answered enough."""
    means = scores.mean(axis=1).tolist()
    return next((n for n in looked if narrow_enough(means[:n], until_ci)), looked[-1])
