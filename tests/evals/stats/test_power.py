"""Sample sizes against textbook values and each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import Interval, detectable_difference, required_episodes, required_texts


@pytest.mark.parametrize(
    ("effect", "power", "n"),
    [(0.2, 0.8, 199), (0.5, 0.8, 34), (0.8, 0.8, 15), (0.5, 0.95, 54)],
    ids=["small", "medium", "large", "surer"],
)
def test_episodes_of_the_paired_t_test(effect: float, power: float, n: int) -> None:
    """Sizes that G*Power gives for two dependent means."""
    assert required_episodes(1.0, effect, power) == n
    assert required_episodes(1.0, -effect, power) == n


@given(st.floats(0.01, 0.5), st.integers(3, 3000))
def test_detectable_and_required_are_inverse(sd: float, n: int) -> None:
    delta = detectable_difference(sd, n)
    assert required_episodes(sd, delta * (1 + 1e-6)) == n


def test_without_spread_any_difference_shows() -> None:
    assert detectable_difference(0.0, 10) == 0.0
    assert required_episodes(0.0, 0.1) == 2


@pytest.mark.parametrize("arguments", [(0.1, 0.0), (-0.1, 0.1), (0.1, 0.1, 1.0), (float("nan"), 0.1)])
def test_impossible_sizes_are_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"sd|no number"):
        required_episodes(*arguments)
    with pytest.raises(ValueError, match="two episodes"):
        detectable_difference(0.1, 1)


def test_half_the_width_takes_four_times_the_texts() -> None:
    interval = Interval(0.5, 0.4, 0.6, 20, "text jackknife")
    assert required_texts(interval, 20, 0.1) == pytest.approx(80, abs=1)
    with pytest.raises(ValueError, match="width"):
        required_texts(interval, 20, 0.0)
