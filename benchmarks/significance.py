"""Can the statistics be believed, and what do they cost? Prints one JSON line per measurement.

false positives   how often a test at 5 % finds a difference between learners of equal expected accuracy, per size of
                  the pool, test and stopping rule: on the very pool, and on average over pools
statistics        seconds for all of them over 10,000 episodes x 2 learners x 25 queries, imports excluded
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from evals import stats
from evals.stats.simulation import Null, false_positive_rates

N_SIMULATIONS = 400
NULLS: tuple[Null, ...] = ("pool", "population")


def main() -> None:
    for n_texts in (20, 200, 10_000):
        rates = {null: false_positive_rates(n_texts, null, N_SIMULATIONS) for null in NULLS}
        for test, stopping in rates["pool"]:
            record: dict[str, Any] = {"benchmark": "false positives", "texts": n_texts, "test": test}
            record |= {"stopping": stopping, "simulations": N_SIMULATIONS}
            for null in NULLS:
                found = rates[null][test, stopping]
                record[null] = {"rate": round(found.mean, 4), "ci95": [round(found.low, 4), round(found.high, 4)]}
            print(json.dumps(record), flush=True)
    for timed in statistics_of(4, 5).values():
        timed()
    seconds = {name: _seconds(timed) for name, timed in statistics_of(10_000, 25).items()}
    record = {"benchmark": "statistics", "episodes": 10_000, "queries": 25, "seconds": round(sum(seconds.values()), 2)}
    print(json.dumps(record | {"goal_seconds": 2.0, "each": {name: round(took, 3) for name, took in seconds.items()}}))


def statistics_of(n_episodes: int, n_queries: int) -> dict[str, Callable[[], object]]:
    """Every statistic of a comparison of two learners, as calls; texts are drawn from as many as there are episodes."""
    random = np.random.RandomState(0)
    texts = random.randint(0, n_episodes, n_episodes * n_queries)
    episodes = np.repeat(np.arange(n_episodes), n_queries)
    a, b = (random.random_sample((2, len(texts))) < 0.7).astype(float)
    means = [answers.reshape(n_episodes, n_queries).mean(axis=1) for answers in (a, b)]
    differences = means[0] - means[1]
    shown = random.randint(0, n_episodes, n_episodes * n_queries)
    design = stats.Design.of(episodes, texts, (episodes, shown), random.randint(0, 5, n_episodes))
    curves = random.random_sample((n_episodes, 5)) - 0.5
    means_at = [0.2, 0.1, -0.1, -0.2, -0.3]
    return {
        "score_interval": lambda: [stats.score_interval(values.tolist()) for values in means],
        "text_interval": lambda: [
            stats.text_interval(a, design),
            stats.text_interval(b, design),
            stats.text_interval(a - b, design, bounds=(-1, 1)),
        ],
        "text_test": lambda: stats.text_test(a - b, design),
        "paired_difference": lambda: stats.paired_difference(*means),
        "sign_flip_test": lambda: stats.sign_flip_test(differences),
        "mcnemar_exact": lambda: stats.mcnemar_exact(a > 0, b > 0),
        "wilcoxon_test": lambda: stats.wilcoxon_test(differences),
        "effect_size": lambda: stats.effect_size(differences),
        "crossover": lambda: stats.crossover((1, 2, 4, 8, 16), means_at, np.cov(curves.T) / n_episodes),
    }


def _seconds(call: Callable[[], object]) -> float:
    """The least of three, which other work on the machine disturbed least."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
