"""Comparisons conducted for real on small tasks: the same episodes for all, nothing lost, nothing hidden."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.comparison import Comparison, compare
from evals.comparison.conduct import Step, conduct, make_plan
from evals.comparison.contestants import contestants
from evals.comparison.study import make_study
from evals.learner import BaseLearner, Context
from evals.store import Store
from evals.types import Answer, Problem, Status
from fewshot.core.errors import BudgetReached, ResumeMismatch, UsageError
from fewshot.core.locks import FolderLock
from tests.evals.comparison.toys import Knowing, riddles
from tests.evals.fakes import Classifier, FirstLabel, Shouter, classification_task, number, task_of

BASELINES = {"chance", "majority", "nn", "tfidf"}


class Stumbling(Knowing):
    """Raises on every fourth text or so, as code with a bug does."""

    name = "fake-stumbling"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        if any(number(query.text, 30) == 0 for query in problem.queries):
            raise ZeroDivisionError("division by zero")
        return super().solve(problem, ctx)


class Broken(Knowing):
    """Knows everything, and raises from its third problem on."""

    name = "fake-broken"
    asked = 0

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        self.asked += 1
        if self.asked > 2:
            raise ZeroDivisionError("division by zero")
        return super().solve(problem, ctx)


class Refusing(BaseLearner):
    """Answers every second query, and is refused the others."""

    name = "fake-refusing"

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        answers = [Answer(problem.labels[0].name), Answer(None, Status.REFUSED)]
        return [answers[at % 2] for at in range(len(problem.queries))]


class Talking(Knowing):
    """Says the same of the task as others of its kind, every time it is asked."""

    name = "fake-talking"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        ctx.notify("these labels say nothing")
        return super().solve(problem, ctx)


def compared(folder: Path, **options: Any) -> Comparison:
    given: dict[str, Any] = {"way": 3, "shot": [1, 2], "query": 2, "episodes": 20, "folder": folder}
    given["learner"] = {"fair": Knowing(60), "better": Knowing(80), "first": FirstLabel()}
    return compare(riddles(), **{**given, **options})


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compared(tmp_path_factory.mktemp("comparison") / "c")


def test_what_several_learners_say_of_a_task_is_told_once_and_recorded_with_each(tmp_path: Path) -> None:
    lines: list[str] = []
    learners = {"one": Talking(60), "two": Talking(80)}
    compared(tmp_path / "c", learner=learners, shot=[1], episodes=2, ctx=Context(notify=lines.append))
    assert lines == ["these labels say nothing"]
    noted = []
    for found in (tmp_path / "c").rglob("run.sqlite"):
        with Store.read(found.parent) as store:
            noted += store.notes()
    assert noted == 2 * lines * 2  # both learners, in both of their episodes


def test_every_learner_meets_the_same_episodes_beside_the_baselines(comparison: Comparison) -> None:
    assert [analysis.table.shot for analysis in comparison.analyses] == [1, 2]
    for analysis in comparison.analyses:
        assert {s.learner for s in analysis.standings} == {"fair", "better", "first"} | BASELINES
        assert {s.learner for s in analysis.standings if s.baseline} == BASELINES
        assert {(s.n_episodes, s.n_queries, s.status) for s in analysis.standings} == {(20, 120, "ok")}


def test_the_better_learner_wins_and_is_told_apart(comparison: Comparison) -> None:
    analysis = comparison.analyses[0]
    assert comparison.winner == analysis.verdict.winner == "better"
    pair = analysis.pair("fair", "better")
    means = analysis.table.episode_means
    expected = means(analysis.table.outcome("better")) - means(analysis.table.outcome("fair"))
    assert abs(pair.difference.mean) == pytest.approx(expected.mean())
    assert pair.p <= pair.p_holm < 0.05
    assert pair.p_new_texts <= pair.p_new_texts_holm
    assert not set(analysis.standing("better").letters) & set(analysis.standing("first").letters)


def test_the_document_is_json_and_names_everything(comparison: Comparison) -> None:
    document = json.loads(json.dumps(comparison.document, allow_nan=False))
    assert {"study", "learners", "pairs", "winner", "crossover", "manifest"} <= document.keys()
    entry = next(e for e in document["learners"] if e["name"] == "better" and e["shot"] == 2)
    assert {"name", "spec", "shot", "accuracy", "transductive", "status", "usage"} <= entry.keys()
    assert {"a", "b", "shot", "diff", "ci95", "p", "p_holm"} <= document["pairs"][0].keys()
    assert len(document["pairs"]) == 2 * 7 * 6 / 2


def test_shots_are_paired(comparison: Comparison) -> None:
    one, two = (set(analysis.table.pairings) for analysis in comparison.analyses)
    assert one == two
    assert comparison.leads[0].few == comparison.leads[0].many == "better"
    assert comparison.leads[0].crossover is None
    assert any("does not flip" in sentence for sentence in comparison.sentences("en"))
    assert any("바뀌지 않습니다" in sentence for sentence in comparison.sentences("ko"))


@pytest.mark.promise(106)
@pytest.mark.parametrize("shot", [[0], [0, 1], "0,2", [2, 0]], ids=str)
def test_no_texts_at_all_are_a_shot_like_others(shot: Any, tmp_path: Path) -> None:
    found = compared(tmp_path / "c", shot=shot, episodes=10)
    assert sorted(analysis.table.shot for analysis in found.analyses) == sorted(int(k) for k in shot if k != ",")
    (none,) = (analysis for analysis in found.analyses if analysis.table.shot == 0)
    failed = {standing.learner: standing.non_ok_rate for standing in none.standings}
    assert failed == {"fair": 0, "better": 0, "first": 0, "chance": 0, "majority": 0, "nn": 1, "tfidf": 1}
    assert none.verdict.winner == "better"
    assert len({frozenset(analysis.table.pairings) for analysis in found.analyses}) == 1


def test_accuracy_is_that_of_the_stored_answers(comparison: Comparison) -> None:
    analysis = comparison.analyses[0]
    source = analysis.table.outcome("fair").sources[0]
    with Store.read(source.folder) as store:
        gold = {episode.problem_id: episode.gold for episode in store.episodes()}
        right = [
            answer.decision == wanted
            for prediction, _ in store.predictions(source.learner)
            for answer, wanted in zip(prediction.answers, gold[prediction.problem_id], strict=True)
        ]
    assert analysis.standing("fair").accuracy.mean == pytest.approx(np.mean(right))


def test_a_comparison_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    steps: list[Step] = []

    def end_early(step: Step) -> None:
        steps.append(step)
        if step.number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path / "c", on_step=end_early)
    resumed = compared(tmp_path / "c")
    whole = compared(tmp_path / "whole")
    assert len(steps) == 5
    assert _figures(resumed) == _figures(whole)


def _figures(found: Comparison) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found.rows()]


def test_another_study_is_not_mixed_in(tmp_path: Path) -> None:
    compared(tmp_path / "c", episodes=5, shot=1)
    with pytest.raises(ResumeMismatch, match="episodes: 5 -> 6"):
        compared(tmp_path / "c", episodes=6, shot=1)


def test_problems_on_which_a_learner_raises_count_as_wrong(tmp_path: Path) -> None:
    found = compared(tmp_path / "c", learner={"stumbling": Stumbling(100)}, shot=1)
    standing = found.analyses[0].standing("stumbling")
    assert standing.status == "ok"
    assert 0 < standing.statuses["error"] < standing.n_queries
    assert standing.accuracy.mean == pytest.approx(1 - standing.non_ok_rate)
    assert found.absent == ()


def test_a_learner_that_is_given_up_is_reported_and_cannot_win(tmp_path: Path) -> None:
    found = compared(tmp_path / "c", learner={"broken": Broken(100), "fair": Knowing(60)}, shot=1)
    assert [(a.learner, a.status) for a in found.absent] == [("broken", "failed")]
    assert "ZeroDivisionError" in found.absent[0].reason
    standing = found.analyses[0].standing("broken")
    assert (standing.status, standing.n_episodes) == ("partial", 4)
    assert found.winner == "fair"
    assert any("broken answered 4 of 20 episodes" in note for note in found.document["notes"])
    assert {"failed", "partial", "ok"} == {entry["status"] for entry in found.document["learners"]}


def test_nobody_wins_who_may_be_no_better_than_chance(tmp_path: Path) -> None:
    found = compared(tmp_path / "c", learner={"first": FirstLabel()}, seed=[1])
    assert found.winner is None
    assert [entry["name"] for entry in found.document["winner"]] == [None, None]
    assert "no learner is told apart from chance (33.3 %)" in found.sentences("en")[0]
    assert "찍는 수준" in found.sentences("ko")[0]


@pytest.mark.parametrize(
    ("learner", "said"), [([FirstLabel()], "need names"), ({"x": 3}, "is a int")], ids=["no name", "no learner"]
)
def test_what_is_no_learner(learner: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        compared(tmp_path / "c", learner=learner)


def test_failures_count_as_wrong_and_are_counted(tmp_path: Path) -> None:
    found = compare(classification_task(), {"refused": Refusing()}, way=3, shot=1, episodes=10, folder=tmp_path / "c")
    standing = found.analyses[0].standing("refused")
    refused = standing.statuses["refused"]
    assert standing.non_ok_rate == pytest.approx(refused / standing.n_queries)
    assert standing.accuracy.mean < standing.accuracy_ok


def test_a_learner_that_needs_training_classes_is_skipped_with_the_way_out(tmp_path: Path) -> None:
    found = compare(
        classification_task(), ["protonet:encoder=lexical"], way=3, shot=1, episodes=5, folder=tmp_path / "c"
    )
    assert [(a.learner, a.status) for a in found.absent] == [("protonet:encoder=lexical", "skipped")]
    assert "protonet:encoder=lexical,train=TASK+TASK" in found.absent[0].reason


def test_a_learner_of_another_kind_of_task_is_skipped(tmp_path: Path) -> None:
    found = compare(task_of("generation"), {"own": Shouter()}, way=3, shot=1, episodes=20, folder=tmp_path / "c")
    assert {(a.learner, a.status) for a in found.absent} == {("chance", "skipped"), ("tfidf", "skipped")}
    assert "of kind generation" in found.absent[0].reason
    assert found.winner == "own"


def test_shards_read_together_are_the_whole(tmp_path: Path) -> None:
    task = classification_task(per_class=20)
    study = make_study(task="toy", learner=["tfidf"], way=3, shot=[1, 2], query=2, episodes=8)
    for at in (1, 2):
        plan = make_plan(study, contestants(study.learner), {"toy": task}, (at, 2))
        conduct(plan, tmp_path / f"shard{at}", Context(), load=lambda name: task)
    merged = Comparison.read([tmp_path / "shard1", tmp_path / "shard2"])
    whole = compare(task, "tfidf", way=3, shot=[1, 2], query=2, episodes=8, folder=tmp_path / "whole")
    assert _figures(merged) == _figures(whole)
    for one, other in zip(merged.document["pairs"], whole.document["pairs"], strict=True):
        for key, value in one.items():
            exact = value is None or isinstance(value, str)
            assert other[key] == (value if exact else pytest.approx(value, rel=1e-6)), key


@pytest.mark.promise(76)
def test_a_comparison_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "c", "comparison.lock", doing="written", advice=""):
        before = list((tmp_path / "c").iterdir())
        with pytest.raises(UsageError, match=r"c is being written by process \d+"):
            compared(tmp_path / "c")
        assert list((tmp_path / "c").iterdir()) == before


@pytest.mark.parametrize("shard", [(0, 2), (3, 2)])
def test_bad_shards(shard: tuple[int, int]) -> None:
    study = make_study(task="toy")
    with pytest.raises(UsageError, match="--shard"):
        make_plan(study, contestants([]), {"toy": classification_task()}, shard)


def test_runs_with_other_episodes_are_refused(tmp_path: Path) -> None:
    task = classification_task()
    for name, learner, seed in (("a", "nn", 0), ("b", "tfidf", 0)):
        compare(task, learner, way=3, shot=1, episodes=4, seed=seed, folder=tmp_path / name)
    _swap_episodes(tmp_path / "b")
    with pytest.raises(UsageError, match="differ from episode 0 on"):
        Comparison.read([tmp_path / "a", tmp_path / "b"])


def _swap_episodes(folder: Path) -> None:
    """Rewrite every run as if its episodes had been drawn in another order."""
    for run in folder.glob("*/run.sqlite"):
        with Store.read(run.parent) as store:
            config, episodes = store.config, list(store.episodes())
            predictions = list(store.all_predictions())
        run.unlink()
        with Store.create(run.parent, config) as store:
            for episode in episodes:
                store.add_episode(replace(episode, index=len(episodes) - 1 - episode.index))
            for learner, prediction, seconds in predictions:
                store.add_prediction(learner, prediction, seconds)


def test_runs_of_different_length_are_compared_where_both_answered(tmp_path: Path) -> None:
    task = classification_task()
    compare(task, {"fair": Classifier()}, way=3, shot=1, episodes=4, folder=tmp_path / "a")
    compare(task, {"first": FirstLabel()}, way=3, shot=1, episodes=6, folder=tmp_path / "b")
    analysis = Comparison.read([tmp_path / "a", tmp_path / "b"]).analyses[0]
    assert analysis.pair("fair", "first").difference.n == 4
    assert analysis.standing("first").n_episodes == 6


def test_class_splits_and_seeds_are_cells(tmp_path: Path) -> None:
    task = classification_task(9, split=True)
    found = compare(
        task, {"fair": Classifier()}, way=3, shot=1, episodes=4, seed=[0, 1], class_split=["01"], folder=tmp_path / "c"
    )
    cells = found.analyses[0].table.cells
    assert [(cell.class_split, cell.seed, cell.n_episodes) for cell in cells] == [("01", 0, 4), ("01", 1, 4)]
    assert len({cell.manifest_sha256 for cell in cells}) == 2


def test_until_ci_stops_on_the_width_alone(tmp_path: Path) -> None:
    task = classification_task(per_class=30)
    options: dict[str, Any] = {"way": 3, "shot": 1, "episodes": 200, "until_ci": 5.0}
    found = compare(task, {"fair": Classifier()}, **options, folder=tmp_path / "c")
    standing = found.analyses[0].standing("fair")
    assert standing.n_episodes in (50, 100, 150)
    assert 100 * (standing.accuracy.high - standing.accuracy.low) / 2 <= 5.0
    again = compare(task, {"fair": Classifier()}, **options, folder=tmp_path / "c")
    assert _figures(again) == _figures(found)


def test_a_limit_ends_the_comparison_and_not_only_the_learner(tmp_path: Path) -> None:
    with pytest.raises(BudgetReached):
        compared(tmp_path / "c", ctx=Context(deadline=0.0))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library: str, comparison: Comparison) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    frame = getattr(comparison, f"to_{library}")()
    assert type(frame).__name__ == "DataFrame"
    assert list(frame["learner"]) == [row["learner"] for row in comparison.rows()]
