"""Recommendations for tasks whose texts have no single label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evals.predictor import Predictor
from evals.recommend import recommend
from evals.recommend.splits import make_splits
from tests.evals.fakes import task_of

KINDS = ("multilabel", "tagging", "generation")


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_asked_once_per_repeat_and_never_shown_beside(kind: str) -> None:
    splits = make_splits(task_of(kind))
    for repeat in range(splits.repeats):
        asked = [row.id for split in splits.splits[repeat * splits.folds :][: splits.folds] for row in split.rows]
        assert len(asked) == len(set(asked))
    for split in splits.splits:
        assert not {row.id for row in split.rows} & {row.id for row in split.problem.support}
        assert all(query.fields == row.fields for query, row in zip(split.problem.queries, split.rows, strict=True))


@pytest.mark.promise(122)
@pytest.mark.parametrize(
    ("kind", "learners", "metric"),
    [
        ("multilabel", ["tfidf", "probe:encoder=lexical"], "example_f1"),
        ("tagging", ["majority"], "span_f1"),
        ("generation", ["nn"], "exact_match"),
    ],
)
def test_a_learner_is_recommended_and_kept(tmp_path: Path, kind: str, learners: list[str], metric: str) -> None:
    whole = task_of(kind)
    task = replace(whole, rows={"all": whole.rows["all"][:60]})
    found = recommend(task, learners, minutes=5)
    assert found.findings.metric == found.document["metric"] == metric
    assert found.document["kind"] == kind
    assert {score.learner for score in found.findings.scores} >= set(learners)
    for language in ("en", "ko"):
        assert metric.replace("_", " ").replace("f1", "F1") in found.sentence(language)
    found.save(tmp_path / "kept")
    kept = Predictor.load(tmp_path / "kept")
    assert kept.support == found.predictor.support
    row = task.rows["all"][0]
    labeller = kept.labeller()
    (answer,) = labeller.answer([labeller.query(row.text, row.fields)])
    assert answer.decision is not None


def test_written_answers_are_tried_where_they_are_asked_for_only() -> None:
    whole = task_of("tagging")
    found = recommend(replace(whole, rows={"all": whole.rows["all"][:20]}), minutes=5)
    why = {missing.learner.partition(":")[0]: missing.why for missing in found.left_out}
    assert "name it with --learner" in why["icl"]
    assert "prototypes" not in why
