"""The nearest prototypes: exact, whatever way they are found, and however the vectors lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from classic.registry.codes import Coder
from classic.registry.search import Index
from fewshot.encoders.prototypes import normalized

N, D, K = 3000, 48, 5


def _isotropic(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=(N, D))


def _cone(random: np.random.Generator) -> np.ndarray:
    """All alike: cosines of .9, as some encoders have."""
    return 3 * np.ones(D) + random.normal(size=(N, D))


def _clusters(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=(30, D))[random.integers(30, size=N)] + 0.05 * random.normal(size=(N, D))


def _few_directions(random: np.random.Generator) -> np.ndarray:
    """Nearly all of a vector lies in three dimensions, which are the first."""
    return random.normal(size=(N, D)) * np.r_[10 * np.ones(3), 0.1 * np.ones(D - 3)]


def _copies(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=(10, D))[np.arange(N) % 10]


def _one_hot(random: np.random.Generator) -> np.ndarray:
    return np.eye(D)[random.integers(D, size=N)]


LAYOUTS = (_isotropic, _cone, _clusters, _few_directions, _copies, _one_hot)


def _by_hand(rows: np.ndarray, query: np.ndarray, k: int) -> list[int]:
    """The k nearest, the earlier among equals."""
    return np.lexsort((np.arange(len(rows)), -np.round(rows @ query, 5)))[:k].tolist()


def _similar(rows: np.ndarray, query: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.round(rows[places] @ query, 5)


@pytest.mark.promise(146)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: each.__name__.strip("_"))
@pytest.mark.parametrize("of", ["a row", "nothing there", "between"])
def test_codes_find_what_all_products_find(layout, of: str) -> None:
    random = np.random.default_rng(0)
    rows = normalized(layout(random))
    index = Index(codes_from=1, block=400)
    index.put(np.arange(N), rows)
    noise = normalized(random.normal(size=(20, D)))
    queries = {"a row": rows[:20], "nothing there": noise, "between": normalized(rows[:20] + noise)}[of]
    list(index.nearest(queries[:1], K))  # codes are made for the second
    for query in queries:
        ((places, similarities),) = index.nearest(query[None], K)
        expected = _by_hand(rows, query, K)
        # Copies differ by rounding alone.
        assert _similar(rows, query, places).tolist() == pytest.approx(_similar(rows, query, expected), abs=2e-5)
        assert similarities == pytest.approx(rows[places] @ query, abs=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: each.__name__.strip("_"))
def test_bounds_hold(layout) -> None:
    random = np.random.default_rng(1)
    rows = normalized(layout(random))
    coder = Coder(rows.mean(axis=0))
    codes = coder.codes(rows)
    for query in (*rows[:5], *normalized(random.normal(size=(5, D)))):
        estimates, upper = coder.bounds(codes, coder.query(query))
        assert (rows @ query <= upper).all()
        assert (estimates <= upper).all()


@pytest.mark.parametrize(("cosine", "left"), [(1.0, 0.001), (0.7, 0.001), (0.4, 0.01)])
def test_a_class_that_is_near_is_all_that_is_left(cosine: float, left: float) -> None:
    random = np.random.default_rng(2)
    rows, noise = (normalized(random.normal(size=(n, 384))) for n in (4000, 1))
    query = normalized(cosine * rows[:1] + (1 - cosine**2) ** 0.5 * noise)[0]
    coder = Coder(rows.mean(axis=0))
    _, upper = coder.bounds(coder.codes(rows), coder.query(query))
    assert np.mean(upper >= rows[0] @ query - 1e-5) <= left


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_rows_that_change_grow_and_go(kind: str) -> None:
    random = np.random.default_rng(3)
    rows = normalized(random.normal(size=(60, 8)))
    given = (lambda some: some) if kind == "dense" else csr_array
    index = Index(block=16)
    index.put(np.arange(20), given(rows[:20]))
    index.put(np.array([3, 18, 45]), given(rows[[50, 51, 45]]))
    index.drop(np.array([0, 45, 46, 500]))
    now = {**{at: rows[at] for at in range(1, 20)}, 3: rows[50], 18: rows[51]}
    for query in rows[:10]:
        ((places, similarities),) = index.nearest(given(query[None]), 100)
        assert sorted(places.tolist()) == sorted(now)
        assert similarities == pytest.approx([now[at] @ query for at in places.tolist()], abs=1e-5)
        assert (np.diff(similarities) <= 0).all()


def test_many_queries_at_once_are_answered_as_one_by_one() -> None:
    random = np.random.default_rng(4)
    rows = normalized(random.normal(size=(200, 8)))
    index = Index(block=64)
    index.put(np.arange(200), rows)
    together = [places.tolist() for places, _ in index.nearest(rows[:70], 3)]
    assert together == [next(iter(index.nearest(row[None], 3)))[0].tolist() for row in rows[:70]]
    assert [places[0] for places in together] == list(range(70))
