"""Comparisons that several files look at, conducted once."""

from __future__ import annotations

import pytest

from evals.comparison import Comparison, compare
from tests.evals.comparison.toys import Knowing, riddles
from tests.evals.report.hostile import hostile_comparison


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return hostile_comparison(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    learners = {"괜찮은 학습기": Knowing(60), "better": Knowing(80)}
    folder = tmp_path_factory.mktemp("comparison") / "c"
    return compare(riddles(), learners, way=3, shot=[1, 2], query=2, episodes=20, folder=folder)


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Two learners that answer everything alike, and one that does not."""
    learners = {"one": Knowing(90), "same": Knowing(90), "other": Knowing(50)}
    folder = tmp_path_factory.mktemp("twins") / "c"
    return compare(riddles(), learners, way=3, shot=1, query=4, episodes=8, folder=folder)
