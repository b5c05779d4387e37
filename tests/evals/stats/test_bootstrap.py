"""The two-way cluster bootstrap against the formula it estimates, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.stats import ClusterBootstrap, cluster_interval, cluster_test, wilson_interval


def observations(
    random: np.random.RandomState, *, n_episodes: int, n_texts: int, effects: tuple[float, float], n_queries: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences in {-1, 0, 1} of expectation 0 whose episodes and texts lean to one side or the other."""
    episodes = np.repeat(np.arange(n_episodes), n_queries)
    texts = np.concatenate([random.choice(n_texts, n_queries, replace=False) for _ in range(n_episodes)])
    of_draw, of_text = (
        effect * random.uniform(-1, 1, n) for effect, n in zip(effects, (n_episodes, n_texts), strict=True)
    )
    lean = (of_draw[episodes] + of_text[texts]) / 2
    a, b = (random.random_sample(len(texts)) < 0.5 + side * lean for side in (1, -1))
    return a.astype(float) - b, episodes, texts


def two_way_error(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Cameron, Gelbach & Miller (2011): rows + columns - cells."""
    residuals = values - values.mean()

    def squares(keys: np.ndarray) -> float:
        return sum(residuals[keys == key].sum() ** 2 for key in np.unique(keys))

    total = squares(first) + squares(second) - squares(first * (second.max() + 1) + second)
    n = min(len(np.unique(first)), len(np.unique(second)))
    return (n / (n - 1) * total) ** 0.5 / len(values)


@pytest.mark.parametrize("grouped", [False, True], ids=["episodes", "groups"])
def test_width_is_that_of_the_two_way_variance(grouped: bool) -> None:
    from scipy.special import stdtrit

    values, episodes, texts = observations(np.random.RandomState(0), n_episodes=40, n_texts=60, effects=(0.4, 0.4))
    draws = episodes % 12 if grouped else episodes
    found = cluster_interval(values, episodes, texts, draws if grouped else None, n_resamples=4000, bounds=(-1, 1))
    n = 12 if grouped else 40
    assert found.n == n
    expected = stdtrit(n - 1, 0.975) * two_way_error(values, draws, texts)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(
    ("n_episodes", "n_texts", "effects"),
    [(20, 20, (0.3, 0.3)), (40, 200, (0.1, 0.5)), (40, 3000, (0.0, 0.0)), (100, 30, (0.1, 0.5))],
    ids=["small", "text effects", "noise alone", "texts met again and again"],
)
def test_covers_the_truth_of_new_texts(n_episodes: int, n_texts: int, effects: tuple[float, float]) -> None:
    random = np.random.RandomState(0)
    n_samples = 300
    hits = 0
    for _ in range(n_samples):
        values, episodes, texts = observations(random, n_episodes=n_episodes, n_texts=n_texts, effects=effects)
        found = cluster_interval(values, episodes, texts, n_resamples=100, bounds=(-1, 1))
        hits += found.low <= 0 <= found.high
    assert 0.92 <= hits / n_samples <= 0.99


@pytest.mark.parametrize("n_groups", [2, 4])
def test_covers_the_truth_of_new_groups(n_groups: int) -> None:
    random = np.random.RandomState(0)
    n_samples, hits = 300, 0
    for _ in range(n_samples):
        groups = np.repeat(np.arange(n_groups), 100)
        lean = np.clip(0.1 * random.randn(n_groups), -0.5, 0.5)[groups]
        values = (random.random_sample(len(groups)) < 0.5 + lean).astype(float)
        texts = groups * 200 + random.randint(0, 200, len(groups))
        found = cluster_interval(values, np.arange(len(groups)) // 10, texts, groups, n_resamples=100)
        hits += found.low <= 0.5 <= found.high
    assert hits / n_samples >= 0.92


@pytest.mark.parametrize("effects", [(0.0, 0.0), (0.3, 0.3)], ids=["noise alone", "leaning texts and draws"])
def test_false_positives_for_new_texts_are_near_5_percent(effects: tuple[float, float]) -> None:
    random = np.random.RandomState(1)
    n_samples = 300
    rejected = sum(
        cluster_test(*observations(random, n_episodes=40, n_texts=60, effects=effects), n_resamples=100) <= 0.05
        for _ in range(n_samples)
    )
    assert 0.015 <= rejected / n_samples <= 0.085


def test_interval_and_test_agree() -> None:
    random = np.random.RandomState(2)
    for _ in range(30):
        values, episodes, texts = observations(random, n_episodes=12, n_texts=30, effects=(0.5, 0.5))
        found = cluster_interval(values, episodes, texts, bounds=(-1, 1), n_resamples=100)
        assert (found.low <= 0 <= found.high) == (cluster_test(values, episodes, texts, n_resamples=100) >= 0.05)


@pytest.mark.parametrize(
    ("values", "texts", "n"),
    [
        ([1, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5], 3),
        ([0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 1], 2),
        ([1, 0, 1, 0, 1, 1], [7, 7, 7, 7, 7, 7], 1),
        ([1, 0, 0, 1, 1, 0], [0, 1, 0, 1, 0, 1], 2),
    ],
    ids=["all right", "all wrong", "one text", "fewest clusters count"],
)
def test_clusters_without_spread_fall_back_to_wilson(values: list[int], texts: list[int], n: int) -> None:
    found = cluster_interval(values, [0, 0, 1, 1, 2, 2], texts)
    assert found.n == n
    if n != 2 or not any(values):
        expected = wilson_interval(n * found.mean, n)
        assert found == expected


@pytest.mark.parametrize(
    ("differences", "expected"), [([0, 0, 0, 0], 1.0), ([1, 1, 1, 1], 0.5), ([0.2, -0.2, 0.2, -0.2], 1.0)]
)
def test_p_without_spread(differences: list[float], expected: float) -> None:
    assert cluster_test(differences, [0, 0, 1, 1], [0, 1, 2, 3]) == expected


def test_two_groups_say_almost_nothing_of_others() -> None:
    random = np.random.RandomState(0)
    values, episodes, texts = observations(random, n_episodes=40, n_texts=400, effects=(0.1, 0.1))
    these = cluster_interval(values, episodes, texts, bounds=(-1, 1))
    others = cluster_interval(values, episodes, texts, episodes % 2, bounds=(-1, 1))
    assert others.n == 2
    assert others.high - others.low > 3 * (these.high - these.low)
    one = cluster_interval(values, episodes, texts, np.zeros(len(values)), bounds=(-1, 1))
    assert one == these


def test_replicates_of_several_columns_share_their_weights() -> None:
    random = np.random.RandomState(0)
    a, episodes, texts = observations(random, n_episodes=20, n_texts=50, effects=(0.3, 0.3))
    b = random.permutation(a)
    found = ClusterBootstrap(np.column_stack([a, b, a - b]), episodes, texts, n_resamples=50).replicates
    assert found.shape == (50, 3)
    assert found[:, 0] - found[:, 1] == pytest.approx(found[:, 2])


def test_replicates_are_weighted_means() -> None:
    """Two episodes of one text each: a resample takes either both, or one of them, or misses all."""
    found = ClusterBootstrap(np.array([[0.0], [1.0]]), ["x", "y"], ["s", "t"], n_resamples=400).replicates
    assert set(found.ravel().round(9)) == {0.0, 0.5, 1.0}
    assert 0.7 < len(found) / 400 < 0.95


@pytest.mark.parametrize(
    ("values", "episodes"), [([], []), ([0.5], [1, 2]), ([2.0], [1])], ids=["none", "lengths", "out of bounds"]
)
def test_what_is_no_sample_is_refused(values: list[float], episodes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"value|entry"):
        cluster_interval(values, episodes, episodes)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-4, 4), st.integers(0, 4), st.sampled_from("abcde"), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    ),
    grouped=st.booleans(),
    random=st.randoms(use_true_random=False),
)
def test_invariants(rows: list[tuple[int, int, str, int]], grouped: bool, random: object) -> None:
    def both(of: list[tuple[int, int, str, int]]) -> tuple[list[float], float]:
        values, episodes, texts, groups = zip(*of, strict=True)
        # An episode belongs to one group.
        of_groups = 3 * np.array(episodes) + groups
        arrays = (np.array(values) / 4, of_groups, texts, groups if grouped else None)
        found = cluster_interval(*arrays, n_resamples=40, bounds=(-1, 1))
        return [found.mean, found.low, found.high], cluster_test(*arrays, n_resamples=40)

    (mean, low, high), p = both(rows)
    assert -1 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    assert 0 < p <= 1
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again, p_again = both(shuffled)
    assert again == pytest.approx([mean, low, high], abs=1e-9)
    assert p_again == pytest.approx(p, abs=1e-9)
