"""The jackknife over texts: by hand, against a slow and obvious one, by its promises, and on pools of texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.stats import DIFFERENCES, Design, TextJackknife, score_interval, text_interval, text_test, wilson_interval
from evals.stats.intervals import t_interval


def drawn(
    random: np.random.RandomState, n_texts: int = 40, n_episodes: int = 60, shot: int = 3, query: int = 4
) -> tuple[np.ndarray, Design]:
    """Answers of two centroid learners to a pool of two classes: points in eight dimensions, seen with own noise."""
    per = n_texts // 2
    classes = np.repeat([0, 1], per)
    noise = random.randn(n_texts, 1, 8) + 0.8 * random.randn(n_texts, 2, 8)
    views = 0.8 * classes[:, None, None] + noise
    orders = np.argsort(random.random_sample((n_episodes, 2, per)), axis=2) + per * np.arange(2)[:, None]
    support, queries = orders[:, :, :shot], orders[:, :, -query:]
    centroids = views[support].mean(axis=2)
    away = ((views[queries][:, :, :, None] - centroids[:, None, None]) ** 2).sum(axis=-1)
    right = away.argmin(axis=3) == np.arange(2)[None, :, None, None]
    episode = np.arange(n_episodes)
    shown = (np.repeat(episode, 2 * shot), support)
    design = Design.of(np.repeat(episode, 2 * query), queries, shown, classes)
    return right.reshape(-1, 2).astype(float), design


def slow_variance(values: np.ndarray, design: Design, shot: int) -> float:
    """Text after text and episode after episode, as the formula reads."""
    residuals = (values - values.mean()) / len(values)
    episodes = np.unique(design.episode)
    total = 0.0
    for name in np.unique(design.text_class):
        texts = np.flatnonzero(design.text_class == name)
        n = len(texts)
        parts = np.zeros((len(episodes), n))
        for e in episodes:
            shown = set(design.support[design.support_episode == e])
            for at, text in enumerate(texts):
                asked = (design.episode == e) & (design.query == text)
                parts[e, at] = residuals[asked].sum() + (residuals[design.episode == e].sum() if text in shown else 0.0)
        parts = parts * n / (n - shot - 0.5)
        centred = parts - parts.mean(axis=1, keepdims=True)
        total += (n - 1) / n * ((centred.sum(axis=0) ** 2).sum() - (centred**2).sum())
    of_episode = np.array([residuals[design.episode == e].sum() for e in episodes])
    return max(total, 0.0) + len(episodes) / (len(episodes) - 1) * float(of_episode @ of_episode)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_formula_read_aloud(seed: int) -> None:
    values, design = drawn(np.random.RandomState(seed), n_texts=20, n_episodes=12)
    for column, weights in ((values[:, 0], (1, 0)), (values[:, 0] - values[:, 1], (1, -1))):
        found = TextJackknife(values, design).estimate(weights)
        assert found.error**2 == pytest.approx(slow_variance(column, design, shot=3))


def test_by_hand() -> None:
    """Four texts asked once each in two episodes, 1 1 | 0 0, nothing shown: residuals of +-1/8, influences of +-1/6.

    Texts: their squares, 4/36, less the same noise, but for what the centring took of it, 2 x (1/3)^2 / 4 = 1/18; times
    3/4 is 1/24. Episodes: 2/1 x 2 x (1/4)^2 = 1/4.
    """
    found = TextJackknife(np.array([[1.0], [1.0], [0.0], [0.0]]), Design.of([0, 0, 1, 1], [0, 1, 2, 3])).estimate([1.0])
    assert (found.mean, found.error**2) == pytest.approx((0.5, 1 / 24 + 1 / 4))


@pytest.mark.parametrize(
    ("n_texts", "n_episodes", "low", "high"), [(30, 100, 0.89, 1.0), (60, 100, 0.88, 1.0), (200, 60, 0.88, 1.0)]
)
def test_holds_the_truth_for_new_texts_of_one_shared_pool(
    n_texts: int, n_episodes: int, low: float, high: float
) -> None:
    random = np.random.RandomState(0)
    truth = np.mean([drawn(random, 2000, 500)[0].mean(axis=0) for _ in range(20)], axis=0)
    hits = np.zeros(2)
    for _ in range(200):
        jackknife = TextJackknife(*drawn(random, n_texts, n_episodes))
        score = jackknife.estimate((1, 0)).interval()
        difference = jackknife.estimate((1, -1)).interval(DIFFERENCES)
        hits += [score.low <= truth[0] <= score.high, difference.low <= 0 <= difference.high]
    assert ((low <= hits / 200) & (hits / 200 <= high)).all(), hits


def test_interval_and_test_agree() -> None:
    for seed in range(30):
        values, design = drawn(np.random.RandomState(seed), n_episodes=20)
        differences = values[:, 0] - values[:, 1]
        found = text_interval(differences, design, bounds=DIFFERENCES)
        assert (found.low <= 0 <= found.high) == (text_test(differences, design) >= 0.05)


def test_identical_learners_differ_by_nothing() -> None:
    values, design = drawn(np.random.RandomState(0))
    found = TextJackknife(values[:, [0, 0]], design).estimate((1, -1))
    assert found.interval(DIFFERENCES).half_width == 0
    assert (found.interval(DIFFERENCES).method, found.p_value) == ("identical", 1.0)


@pytest.mark.parametrize(("right", "n"), [([1.0] * 6, 3), ([0.0] * 6, 3)], ids=["all right", "all wrong"])
def test_without_spread_wilsons_interval_stands_in(right: list[float], n: int) -> None:
    found = text_interval(right, Design.of([0, 0, 1, 1, 2, 2], range(6)))
    expected = wilson_interval(n * right[0], n)
    assert (found.low, found.high, found.n) == pytest.approx((expected.low, expected.high, n))


def test_differences_that_all_lean_alike_are_no_certainty() -> None:
    assert text_test([1.0] * 4, Design.of([0, 0, 1, 1], range(4))) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_seeds_of_one_pool_are_no_independent_samples(seed: int) -> None:
    """Three times the episodes on the same texts, said to be three groups: the interval stays about as wide."""
    random = np.random.RandomState(seed)
    values, design = drawn(random, n_texts=30, n_episodes=300)
    first = design.episode < 100
    one = TextJackknife(values[first], design.chosen(first)).estimate((1, 0))
    arrays = (design.support_episode, design.support)
    grouped = Design.of(design.episode, design.query, arrays, design.text_class, np.repeat([0, 1, 2], 100))
    three = TextJackknife(values, grouped).estimate((1, 0))
    assert three.error > 0.8 * one.error


def test_groups_that_differ_widen_the_interval() -> None:
    groups = np.repeat([0, 1, 2, 3], 20)
    values = (np.random.RandomState(0).random_sample(800) < np.array([0.3, 0.5, 0.6, 0.9])[groups.repeat(10)]).astype(
        float
    )
    episodes = np.arange(80).repeat(10)
    these = text_interval(values, Design.of(episodes, range(800)))
    others = text_interval(values, Design.of(episodes, range(800), groups=groups))
    assert others.half_width > 3 * these.half_width


def test_texts_that_are_met_again_and_again_count_once() -> None:
    """100 episodes ask the same 20 texts, 15 of them right whenever asked: no surer than 20 texts are."""
    right = (np.arange(20) < 15).astype(float)
    texts = np.concatenate([np.random.RandomState(at).permutation(20)[:10] for at in range(100)])
    found = text_interval(right[texts], Design.of(np.arange(100).repeat(10), texts))
    assert found.half_width == pytest.approx(t_interval(right.tolist()).half_width, rel=0.25)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-4, 4), st.integers(0, 4), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30
    ),
    grouped=st.booleans(),
    random=st.randoms(use_true_random=False),
)
def test_invariants(rows: list[tuple[int, int, int, int]], grouped: bool, random: object) -> None:
    def both(of: list[tuple[int, int, int, int]]) -> tuple[list[float], float]:
        values, episodes, texts, shown = (np.array(column) for column in zip(*of, strict=True))
        groups = np.arange(5) % 3 if grouped else None
        design = Design.of(episodes, texts, (episodes, shown), np.arange(7) % 2, groups)
        found = text_interval(values / 4, design, bounds=DIFFERENCES)
        return [found.mean, found.low, found.high], text_test(values / 4, design)

    (mean, low, high), p = both(rows)
    assert -1 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    assert 0 < p <= 1
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again, p_again = both(shuffled)
    assert again == pytest.approx([mean, low, high], abs=1e-6)
    assert p_again == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_what_holds_for_new_texts_holds_for_this_pool(seed: int) -> None:
    values, design = drawn(np.random.RandomState(seed), n_episodes=15)
    means = (values[:, 0] - values[:, 1]).reshape(15, -1).mean(axis=1)
    pool, new = t_interval(means.tolist()), TextJackknife(values, design).estimate((1, -1)).interval((-9.0, 9.0))
    assert new.low <= pool.low + 1e-12
    assert pool.high <= new.high + 1e-12
    scores = score_interval(values[:, 0].reshape(15, -1).mean(axis=1).tolist())
    wide = TextJackknife(values, design).estimate((1, 0)).interval().around(scores)
    assert wide.low <= scores.low <= scores.high <= wide.high


@pytest.mark.parametrize(
    ("values", "texts"), [([], []), ([0.5], [1, 2]), ([2.0], [1])], ids=["none", "lengths", "bounds"]
)
def test_what_is_no_sample_is_refused(values: list[float], texts: list[int]) -> None:
    with pytest.raises(ValueError, match=r"value|entry|observation"):
        text_interval(values, Design.of(texts, texts))
