"""Where the lead changes, found and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.comparison import compare
from evals.comparison.crossing import Lead
from evals.comparison.sentences import lead_sentence
from tests.evals.comparison.toys import Knowing, riddles


def test_the_crossover_lies_where_the_curves_meet(tmp_path: Path) -> None:
    learners = {"steady": Knowing(60), "growing": Knowing(40, per_shot=6)}
    found = compare(
        riddles(), learners, way=5, shot=[1, 2, 4, 8], query=10, episodes=40, folder=tmp_path / "comparison"
    )
    lead = found.leads[0]
    assert (lead.few, lead.many) == ("steady", "growing")
    assert lead.crossover is not None
    assert 2 <= lead.crossover.low <= lead.crossover.shot <= lead.crossover.high <= 4
    assert lead.crossover.share > 0.99
    english, korean = found.sentences("en")[-1], found.sentences("ko")[-1]
    assert "growing overtakes at about" in english
    assert "growing의 정확도가 더 높습니다" in korean
    document = found.document["crossover"][0]
    assert document["shot"] == lead.crossover.shot
    assert document["sentence"] == {"en": english, "ko": korean}


@pytest.mark.parametrize(
    ("leaders", "told"),
    [
        (("a", "a", "a"), "a leads at every K from 1 to 4; the answer does not flip"),
        (("a", "b", "a"), "not in between: b (K = 2)"),
        (("a", None, "a"), "not in between: none above chance (K = 2)"),
        (("a", "b", "c"), "where the lead changes cannot be said"),
    ],
    ids=["steady", "there and back", "nobody in between", "from one to another"],
)
def test_every_number_of_shots_is_looked_at(leaders: tuple[str | None, ...], told: str) -> None:
    lead = Lead("toy", 2, (1, 2, 4), leaders, None)
    assert told in lead_sentence(lead)
    assert ("바뀌지 않습니다" in lead_sentence(lead, "ko")) == lead.steady


def test_identical_learners_are_called_identical_and_pools_lie_within_new_texts(tmp_path: Path) -> None:
    learners = {"one": Knowing(90), "same": Knowing(90), "other": Knowing(50)}
    found = compare(riddles(), learners, way=3, shot=1, query=4, episodes=30, seed=[0, 1, 2], folder=tmp_path / "c")
    analysis = found.analyses[0]
    pair = analysis.pair("one", "same")
    assert pair.identical
    assert (pair.new_texts.low, pair.new_texts.high, pair.p_new_texts) == (0, 0, 1)
    assert "scored identically" in found.sentences("en")[0]
    assert not analysis.pair("one", "other").identical
    for pool, new in [(s.accuracy, s.new_texts) for s in analysis.standings] + [
        (p.difference, p.new_texts) for p in analysis.pairs
    ]:
        assert new.low <= pool.low <= pool.high <= new.high
