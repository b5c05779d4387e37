"""Selection for 100 queries among 5,000 examples with 384 dimensions, beside plain NumPy. Prints one JSON line.

`knn` is held against a product, a partition and a sort; `mmr` against a product, a partition and the loop over the
shortlist that its definition asks for. Both make the same choice. The vectors are given, so no encoder is timed; each
time is the shortest of several, in turns with the others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from fewshot.core.catalog import SELECTORS
from icl import MMR, Pool, Selector

_POOL, _DIMENSIONS, _QUERIES, _SHOWN, _REPEATS, _GOAL = 5_000, 384, 100, 8, 5, 1.5
_FETCH = MMR().fetch or _POOL


def plain_knn(vectors: np.ndarray, asked: np.ndarray) -> list[list[int]]:
    """The nearest of each query."""
    similar = np.round(asked @ vectors.T, 5)
    some = np.argpartition(-similar, _SHOWN, axis=1)[:, :_SHOWN]
    order = np.argsort(-np.take_along_axis(similar, some, axis=1), axis=1)
    return np.take_along_axis(some, order, axis=1).tolist()


def plain_mmr(vectors: np.ndarray, asked: np.ndarray) -> list[list[int]]:
    """Maximal marginal relevance among the nearest of each query."""
    found = []
    for similar in np.round(asked @ vectors.T, 5):
        rows = np.sort(np.argpartition(-similar, _FETCH)[:_FETCH])
        relevance, alike = 0.5 * similar[rows].astype(np.float64), np.round(vectors[rows] @ vectors[rows].T, 5)
        redundancy, taken = np.zeros(_FETCH), []
        for _ in range(_SHOWN):
            best = int(np.argmax(relevance - 0.5 * redundancy))
            redundancy = np.maximum(redundancy, alike[best]) if taken else alike[best]
            taken.append(best)
            relevance[best] = -np.inf
        found.append(rows[taken].tolist())
    return found


def main() -> None:
    random = np.random.default_rng(0)
    vectors, asked = (_unit(random.normal(size=(n, _DIMENSIONS))) for n in (_POOL, _QUERIES))
    pool = Pool([{"text": f"example {at}", "label": "ab"[at % 2]} for at in range(_POOL)])
    queries = [f"query {at}" for at in range(_QUERIES)]

    def ours(selector: Selector) -> list[list[int]]:
        chosen = selector.select(queries, pool, _SHOWN)
        return [[int(pick.example.id[1:]) for pick in picks] for picks in chosen]

    specs = ("knn", "mmr", "mmr:fetch=none", "dpp", "farthest", "facility", "vote-k")
    work: dict[str, Callable[[], list[list[int]]]] = {
        spec: partial(ours, SELECTORS.build(spec, encoder=(vectors, asked))) for spec in specs
    }
    work |= {"plain knn": partial(plain_knn, vectors, asked), "plain mmr": partial(plain_mmr, vectors, asked)}
    found = {name: each() for name, each in work.items()}
    seconds = dict.fromkeys(work, float("inf"))
    for _ in range(_REPEATS):
        for name, each in work.items():
            started = time.perf_counter()
            each()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    ratios = {name: round(seconds[name] / seconds[f"plain {name}"], 2) for name in ("knn", "mmr")}
    record = {
        "benchmark": "selection",
        "examples": _POOL,
        "dimensions": _DIMENSIONS,
        "queries": _QUERIES,
        "shown": _SHOWN,
        "fetch": _FETCH,
        "seconds": {name: round(took, 4) for name, took in seconds.items()},
        "ratio_to_plain": ratios,
        "goal": _GOAL,
        "same_choice": all(found[name] == found[f"plain {name}"] for name in ratios),
    }
    print(json.dumps(record))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
