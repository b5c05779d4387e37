"""How many episodes, how many texts: against answers whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest

from evals import stats
from evals.comparison import compare
from evals.comparison.analysis import Analysis
from evals.recommend.power import _sd_between_texts, pool_size, power
from fewshot.core.errors import UsageError
from tests.evals.fakes import classification_task


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    folder = tmp_path_factory.mktemp("pilot") / "study"
    options = {"way": 3, "shot": 1, "query": 2, "episodes": 20}
    return compare(classification_task(), ["nn", "tfidf"], folder=folder, **options).analyses[0]  # type: ignore[arg-type]


def test_figures_are_those_of_the_statistics(pilot: Analysis) -> None:
    found = power(pilot, "nn", "chance", 0.05, 300)
    means = [pilot.table.episode_means(pilot.table.outcome(name)) for name in ("nn", "chance")]
    sd = float((means[0] - means[1]).std(ddof=1))
    assert found.sd == pytest.approx(sd)
    assert found.episodes == stats.required_episodes(sd, 0.05)
    assert found.detectable == pytest.approx(stats.detectable_difference(sd, 300))
    assert found.new_texts.low <= found.difference <= found.new_texts.high
    assert found.document["enough_texts"] == (found.at_best <= 0.05)


def test_either_order_of_two_learners_says_the_same(pilot: Analysis) -> None:
    one, other = power(pilot, "nn", "chance", 0.05, 300), power(pilot, "chance", "nn", 0.05, 300)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.new_texts.low, one.new_texts.high) == pytest.approx((-other.new_texts.high, -other.new_texts.low))


def test_more_episodes_find_less_but_more_texts_are_needed_for_new_texts(pilot: Analysis) -> None:
    few, many = power(pilot, "nn", "chance", 0.05, 100), power(pilot, "nn", "chance", 0.05, 10_000)
    assert many.detectable < few.detectable
    assert many.at_best == few.at_best
    assert power(pilot, "nn", "chance", 0.05, 100, n_texts=5000).at_best < few.at_best


def test_the_spread_between_texts_is_found() -> None:
    """1000 texts, each asked 50 times: 0.3 between texts, 0.2 around each of them."""
    random = np.random.default_rng(0)
    texts = np.repeat(np.arange(1000), 50)
    values = random.normal(0, 0.3, 1000)[texts] + random.normal(0, 0.2, texts.size)
    assert _sd_between_texts(values, texts) == pytest.approx(0.3, rel=0.1)


def test_the_pool_is_counted_where_queries_come_from(pilot: Analysis) -> None:
    assert pool_size(classification_task(), pilot.table) == 72


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nn", "chance", 0.0, 10), "--delta 0"),
        (("nn", "chance", float("nan"), 10), "--delta nan"),
        (("nn", "chance", 0.1, 1), "--episodes 1"),
        (("nn", "chanse", 0.1, 10), "chance"),
    ],
    ids=["no difference", "not a number", "one episode", "learner"],
)
def test_bad_requests_are_refused(pilot: Analysis, arguments: tuple, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        power(pilot, *arguments)
