"""Transductive learners stand in a block of their own, win nothing, and are named where they are better."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.comparison import Comparison, compare
from evals.report.tables import to_latex, to_markdown
from fewshot.cli.compare import show_comparison
from tests.evals.comparison.toys import Knowing, riddles


class AllAtOnce(Knowing):
    """Says that it reads all queries together."""

    transductive = True  # type: ignore[assignment]


def compared(folder: Path, together: int = 95, balance: str = "equal", episodes: int = 10) -> Comparison:
    learners = {"fair": Knowing(80), "together": AllAtOnce(together)}
    given = {"way": 3, "shot": 1, "query": 2, "episodes": episodes, "query_balance": balance, "folder": folder}
    return compare(riddles(), learners, **given)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compared(tmp_path_factory.mktemp("apart") / "c")


@pytest.mark.promise(135)
def test_the_winner_answers_each_query_by_itself_and_who_does_not_is_named(comparison: Comparison) -> None:
    (analysis,) = comparison.analyses
    assert analysis.verdict.winner == "fair"
    assert analysis.verdict.apart == ("together",)
    english, korean = (comparison.sentences(language)[0] for language in ("en", "ko"))
    assert english.startswith("riddles, 3-way 1-shot: fair is best")
    assert "Ranked apart, because it reads all queries of an episode together: together, with" in english
    assert "together" in korean


def test_one_that_is_no_better_is_not_spoken_of(tmp_path: Path) -> None:
    found = compared(tmp_path / "c", together=60)
    assert found.analyses[0].verdict.apart == ()
    assert "together" not in found.sentences()[0]


def test_it_takes_no_place_on_the_front_of_the_others(comparison: Comparison) -> None:
    """Were they one ranking, the best mean of all would be on the front, and the best of the others perhaps not."""
    (analysis,) = comparison.analyses
    inductive, apart = analysis.blocks
    assert [standing.learner for standing in apart] == ["together"]
    assert inductive[0].learner == "fair" and inductive[0].on_front
    assert apart[0].on_front


def test_every_table_has_a_block_for_it(comparison: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    show_comparison(comparison)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    at = next(number for number, line in enumerate(lines) if line.startswith("together (transductive)"))
    assert lines[at - 1] == ""
    assert "transductive: reads all queries of an episode together; ranked apart from the learners above" in lines
    others, block = [part for part in to_markdown(comparison).split("\n\n") if part.startswith("| learner")]
    assert "| together (t) |" in block and "together" not in others
    latex = to_latex(comparison).splitlines()
    assert latex[next(at for at, line in enumerate(latex) if line.startswith("together (t)")) - 1] == "\\midrule"


@pytest.mark.promise(136)
def test_tables_of_uneven_queries_say_so_and_join_no_others(tmp_path: Path) -> None:
    compared(tmp_path / "even", episodes=2)
    compared(tmp_path / "uneven", balance="dirichlet", episodes=2)
    both = Comparison.read([tmp_path / "even", tmp_path / "uneven"])
    assert sorted(analysis.table.query_balance for analysis in both.analyses) == ["dirichlet:2", "equal"]
    assert {row["query_balance"] for row in both.document["learners"]} == {"dirichlet:2", "equal"}
    assert to_markdown(both).count("classes asked in proportions of dirichlet:2") == 1
