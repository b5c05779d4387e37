"""Where the lead changes, found and said."""

from __future__ import annotations

from pathlib import Path

from evals.comparison import compare
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
