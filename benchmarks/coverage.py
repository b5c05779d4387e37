"""How often does a 95 % interval for new texts hold the truth? Prints one JSON line per set, size and figure.

The population is a whole data set. Pools are drawn from it with replacement, as many texts of each class; episodes
are drawn from a pool as the harness draws them (classes, then per class K support texts and others as queries); two
learners on sentence vectors answer; the product's jackknife over texts gives the interval. The truth is what is
estimated: the expected accuracy of the same learner with K support texts per class drawn from the population, on new
texts of it. It is measured on episodes drawn straight from the population.

    python benchmarks/coverage.py                      every set and size; needs the data sets under $FEWSHOT_DATA
    python benchmarks/coverage.py --sets trec --pools 50
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals import stats
from evals.loading import load_task
from fewshot.core.catalog import ENCODERS

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

LEARNERS = ("centroid", "nearest neighbour")
#: Set -> encoder of its texts.
SETS = {"subj": "minilm", "trec": "minilm", "nsmc": "lexical", "banking77": "minilm"}
#: Most texts of a set that are encoded.
MOST_TEXTS = 6000
#: Numbers that a hashed vector is projected on: similarities stay as they are but for a few hundredths.
WIDTH = 256
TRUTH_EPISODES = 40_000
EPISODES = 200


@dataclass(frozen=True)
class Setting:
    """How large a pool is and what its episodes look like: `classes` in the pool, `way` of them per episode."""

    texts: int
    classes: int
    way: int
    shot: int
    query: int


#: Two classes at most of subj and nsmc, five frequent ones of trec, up to all of banking77.
SETTINGS = {
    "subj": [Setting(n, 2, 2, 5, 5) for n in (30, 60, 200, 2000)],
    "nsmc": [Setting(n, 2, 2, 5, 5) for n in (30, 60, 200, 2000)],
    "trec": [Setting(30, 3, 3, 1, 5), *(Setting(n, 5, 5, 5, 5) for n in (60, 200, 2000))],
    "banking77": [
        Setting(30, 3, 3, 1, 5),
        Setting(60, 5, 5, 1, 5),
        Setting(200, 10, 5, 5, 5),
        Setting(2000, 50, 5, 1, 5),
    ],
}


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--pools", type=int, default=400)
    wanted = parser.parse_args()
    for name in wanted.sets:
        vectors, classes = population(name)
        for setting in SETTINGS[name]:
            for figure, found in coverage(vectors, classes[: setting.classes], setting, wanted.pools).items():
                record = {"benchmark": "coverage", "set": name, "encoder": SETS[name], **vars(setting)}
                print(
                    json.dumps({**record, "episodes": EPISODES, "pools": wanted.pools, "of": figure, **found}),
                    flush=True,
                )


def population(name: str) -> tuple[Floats, list[Ints]]:
    """Unit vectors of a set's texts, and the rows of each class, the most frequent first."""
    task = load_task(name)
    rows = [row for part in task.rows.values() for row in part]
    random = np.random.RandomState(0)
    rows = [rows[at] for at in random.permutation(len(rows))[:MOST_TEXTS]]
    encoder = ENCODERS.build(SETS[name]).fit([row.text for row in rows])
    vectors = encoder.encode([row.text for row in rows])
    if not isinstance(vectors, np.ndarray):
        used = np.flatnonzero(np.bincount(vectors.indices, minlength=vectors.shape[1]))
        vectors = vectors.tocsc()[:, used].tocsr() @ random.standard_normal((len(used), WIDTH))
    vectors = np.asarray(vectors, dtype=np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    labels = np.array([str(row.label) for row in rows])
    names, counts = np.unique(labels, return_counts=True)
    return vectors, [np.flatnonzero(labels == names[at]) for at in np.argsort(-counts, kind="stable")]


def coverage(vectors: Floats, classes: list[Ints], setting: Setting, n_pools: int) -> dict[str, dict[str, object]]:
    """Per learner and for their difference: the truth, the share of intervals that hold it, and their mean width."""
    random = np.random.RandomState(0)
    truth = np.mean([_answers(vectors, *drawn).mean(axis=0) for drawn in _straight(classes, setting, random)], axis=0)
    weights = {LEARNERS[0]: (1.0, 0.0), LEARNERS[1]: (0.0, 1.0), "difference": (1.0, -1.0)}
    held: dict[str, list[tuple[bool, float]]] = {figure: [] for figure in weights}
    for _ in range(n_pools):
        values, design = _one_pool(vectors, classes, setting, random)
        jackknife = stats.TextJackknife(values, design)
        for figure, weight in weights.items():
            bounds = stats.DIFFERENCES if figure == "difference" else (0.0, 1.0)
            found, true = jackknife.estimate(weight).interval(bounds), float(truth @ weight)
            held[figure].append((found.low <= true <= found.high, found.high - found.low))
    found = {}
    for figure, cases in held.items():
        share = stats.wilson_interval(sum(hit for hit, _ in cases), n_pools)
        found[figure] = {
            "truth": round(float(truth @ weights[figure]), 4),
            "coverage": round(share.mean, 4),
            "ci95": [round(share.low, 4), round(share.high, 4)],
            "width": round(float(np.mean([width for _, width in cases])), 4),
        }
    # With one support text per class, the two learners are one.
    return found if setting.shot > 1 else {LEARNERS[0]: found[LEARNERS[0]]}


def _one_pool(
    vectors: Floats, classes: list[Ints], setting: Setting, random: np.random.RandomState
) -> tuple[NDArray[np.float64], stats.Design]:
    """Answers to episodes of a new pool, and which texts they show and ask."""
    per, way = setting.texts // setting.classes, setting.way
    pool = np.concatenate([random.choice(rows, per) for rows in classes])
    chosen = _orders(EPISODES, setting.classes, random)[:, :way]
    order = _orders(EPISODES * way, per, random).reshape(EPISODES, way, per) + per * chosen[:, :, None]
    support, queries = order[:, :, : setting.shot], order[:, :, -setting.query :]
    values = _answers(vectors, pool[support], pool[queries])
    episode = np.arange(EPISODES)
    design = stats.Design.of(
        np.repeat(episode, way * setting.query),
        queries,
        (np.repeat(episode, way * setting.shot), support),
        np.repeat(np.arange(setting.classes), per),
    )
    return values, design


def _straight(classes: list[Ints], setting: Setting, random: np.random.RandomState) -> Iterator[tuple[Ints, Ints]]:
    """Support and queries of episodes drawn from the population, a thousand at a time."""
    per = setting.shot + setting.query
    for _ in range(TRUTH_EPISODES // 1000):
        drawn = np.stack([random.choice(rows, (1000, per)) for rows in classes], axis=1)
        chosen = _orders(1000, len(classes), random)[:, : setting.way]
        drawn = drawn[np.arange(1000)[:, None], chosen]
        yield drawn[:, :, : setting.shot], drawn[:, :, setting.shot :]


def _orders(n: int, size: int, random: np.random.RandomState) -> Ints:
    """(n, size) random orders of range(size)."""
    return np.argsort(random.random_sample((n, size)), axis=1)


def _answers(vectors: Floats, support: Ints, queries: Ints) -> NDArray[np.float64]:
    """(n_episodes x way x n_queries, 2) whether each learner is right.

    Args:
        support, queries: rows of `vectors`, (n_episodes, way, n_texts).
    """
    n, way, shot = support.shape
    shown, asked = vectors[support.reshape(n, -1)], vectors[queries.reshape(n, -1)]
    similarity = (asked @ shown.transpose(0, 2, 1)).reshape(n, -1, way, shot)
    length = np.linalg.norm(shown.reshape(n, way, shot, -1).mean(axis=2), axis=2)
    gold = np.repeat(np.arange(way), queries.shape[2])
    centroid = similarity.mean(axis=3) / np.maximum(length, 1e-9)[:, None]
    found = [scores.argmax(axis=2) == gold for scores in (centroid, similarity.max(axis=3))]
    return np.stack(found, axis=-1).reshape(-1, 2).astype(np.float64)


if __name__ == "__main__":
    main()
