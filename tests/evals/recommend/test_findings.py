"""What is concluded from known answers: which learner, how sure, how many more texts, and what is pointed out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evals import stats
from evals.recommend.alarms import alarms, doubts
from evals.recommend.findings import weigh
from evals.recommend.sentences import recommendation_sentence
from evals.recommend.splits import make_splits
from evals.types import Example
from tests.evals.fakes import FirstLabel
from tests.evals.recommend.data import Reader, findings_of, task_of, trial_of

EVEN = {"yes": 30, "no": 30}


def test_a_clear_winner_is_recommended_and_sure() -> None:
    found, splits, trials = findings_of(EVEN, ("good", Reader(["a"])), ("poor", Reader(["a", "b", "c", "d", "e"])))
    assert (found.advice.learner, found.advice.runner_up, found.advice.sure) == ("good", "poor", True)
    assert found.advice.texts_needed is None
    lead = np.subtract(trials[0].accuracy, trials[1].accuracy)
    p = found.score("poor").p
    assert p == pytest.approx(stats.corrected_test(lead, splits.n_train, splits.n_test))
    assert "Use good: 96.7 % right" in recommendation_sentence(found, splits)
    assert "beats the runner-up poor" in recommendation_sentence(found, splits)


def test_a_clear_winner_needs_no_correction_and_a_lucky_one_does() -> None:
    clear, splits, _ = findings_of(EVEN, ("good", Reader(["a"])), ("poor", Reader(["a", "b", "c", "d", "e"])))
    assert (clear.advice.optimism, clear.advice.candidates) == (0.0, 2)
    assert clear.advice.accuracy == clear.score("good").accuracy
    lucky, _, _ = findings_of(EVEN, *((letter, Reader([letter, 2 * letter])) for letter in "abcdef"))
    assert lucky.advice.optimism > 0
    assert lucky.advice.accuracy.mean == pytest.approx(lucky.scores[0].accuracy.mean - lucky.advice.optimism)
    assert "as it was chosen among 6 on the same splits" in recommendation_sentence(lucky, splits)


def test_of_a_single_learner_no_choice_is_told() -> None:
    found, splits, _ = findings_of(EVEN, ("only", Reader(["a"])))
    assert found.advice.optimism == 0.0
    assert "chosen among" not in recommendation_sentence(found, splits)


def test_a_small_lead_asks_for_more_labels() -> None:
    found, splits, _ = findings_of(EVEN, ("one", Reader(["a"])), ("two", Reader(["b", "cc"])))
    assert found.advice.learner == "one"
    assert not found.advice.sure
    assert found.advice.texts_needed is not None
    assert found.advice.texts_needed > len(splits.rows)
    told = recommendation_sentence(found, splits)
    assert "You cannot tell yet whether it is better than two" in told
    assert f"Label about {found.advice.texts_needed - len(splits.rows)} more texts" in told
    assert "extrapolation" in told
    assert "아직 말할 수 없습니다" in recommendation_sentence(found, splits, "ko")


def test_where_a_sample_was_used_more_rows_are_asked_for_not_labels() -> None:
    task = task_of({"yes": 400, "no": 400})
    splits = make_splits(task, max_rows=60)
    trials = [trial_of("one", Reader(["a"]), splits), trial_of("two", Reader(["b", "cc"]), splits)]
    found = weigh(trials, splits)
    if found.advice.texts_needed is not None and found.advice.texts_needed <= 800:
        assert f"--rows {found.advice.texts_needed}" in recommendation_sentence(found, splits)


def test_equals_are_called_equal_and_the_cheaper_is_taken() -> None:
    found, splits, _ = findings_of(EVEN, ("cheap", Reader(["a"])), ("dear", Reader(["a"])))
    assert found.advice.learner == "cheap"
    assert not found.advice.sure
    behind = found.score("dear").behind
    assert behind is not None
    assert (behind.is_identical, behind.low, behind.high) == (True, 0, 0)
    assert "dear is identical: right on the very same texts, so either will do." in recommendation_sentence(
        found, splits
    )
    assert "(identical)" in recommendation_sentence(found, splits, "ko")


def test_equal_means_over_other_texts_are_not_identical() -> None:
    found, _, _ = findings_of(EVEN, ("one", Reader(["a"])), ("two", Reader(["b"])))
    behind = found.scores[1].behind
    assert behind is not None
    assert not behind.is_identical
    assert behind.low < 0 < behind.high


def test_a_learner_at_the_level_of_the_majority_is_not_praised() -> None:
    found, splits, _ = findings_of({"yes": 40, "no": 20}, ("first", FirstLabel()))
    assert not found.advice.beats_majority
    assert (found.majority, found.majority_share) == ("yes", pytest.approx(2 / 3))
    assert "cannot tell yet whether anything works" in recommendation_sentence(found, splits)
    assert "always answering 'yes' would be 66.7 % right" in recommendation_sentence(found, splits)


def test_a_transductive_learner_is_shown_and_not_recommended() -> None:
    splits = make_splits(task_of(EVEN))
    trials = [trial_of("cheats", Reader(), splits, transductive=True), trial_of("fair", Reader(["a"]), splits)]
    found = weigh(trials, splits)
    assert found.advice.learner == "fair"
    assert [score.learner for score in found.scores] == ["fair", "cheats"]
    assert found.score("cheats").p is None
    said = recommendation_sentence(found, splits)
    assert said.startswith("Use fair")
    assert said.endswith("Not considered, because it reads all texts that are asked together: cheats, with 100.0 %.")
    assert "cheats(100.0 %)" in recommendation_sentence(found, splits, "ko")


def test_a_constant_difference_is_tested_on_the_rows() -> None:
    splits = make_splits(task_of({"yes": 25, "no": 25}))
    right = trial_of("right", Reader(), splits)
    wrong = trial_of("wrong", Reader(["is"]), splits)
    assert weigh([right, wrong], splits).score("wrong").p == pytest.approx(2 * 0.5**50)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Answers that are right with probability 0.8, drawn anew for each of 200 data sets of 40 rows."""
    random = np.random.default_rng(0)
    splits = make_splits(task_of({"yes": 20, "no": 20}))
    rows = [row.id for row in splits.rows]
    held = 0
    for _ in range(200):
        right = dict(zip(rows, random.random(40) < 0.8, strict=True))
        accuracy = [np.mean([right[row.id] for row in split.rows]) for split in splits.splits]
        found = stats.corrected_interval(accuracy, splits.n_train, splits.n_test)
        held += found.low <= 0.8 <= found.high
    assert held >= 180


@pytest.mark.parametrize(
    ("counts", "learner", "message"),
    [
        ({"yes": 20, "no": 20, "odd": 1}, Reader(), "a single text: 'odd'"),
        ({"yes": 20, "no": 20, "odd": 3}, Reader(), "fewer than 5 texts: 'odd'"),
        ({"yes": 20, "Yes": 20}, Reader(), "differ in case or space only: 'Yes', 'yes'"),
    ],
    ids=["single text", "few texts", "spelling"],
)
def test_alarms_about_classes(counts: dict, learner: Reader, message: str) -> None:
    found, splits, _ = findings_of(counts, ("learner", learner))
    assert any(message in alarm for alarm in alarms(found, splits))


def test_alarm_about_a_constant_predictor() -> None:
    class Stubborn(Reader):
        def solve(self, problem, ctx):  # type: ignore[no-untyped-def]
            return [answer.__class__("yes") for answer in super().solve(problem, ctx)]

    found, splits, _ = findings_of({"yes": 20, "no": 20}, ("stubborn", Stubborn()))
    assert any("stubborn gives nearly every text the same label" in alarm for alarm in alarms(found, splits))


def test_alarm_about_texts_that_differ_in_digits_only() -> None:
    rows = tuple(Example(str(at), f"Order no. {at} is {name}", name) for at in range(10) for name in EVEN)
    task = replace(task_of(EVEN), rows={"all": rows})
    splits = make_splits(task)
    found = weigh([trial_of("learner", Reader(), splits)], splits)
    assert any("20 of 20 texts equal another one" in alarm for alarm in alarms(found, splits))


def test_no_alarm_without_a_reason() -> None:
    assert alarms(*findings_of(EVEN, ("learner", Reader()))[:2]) == []


def test_labels_that_good_learners_contradict_are_doubted() -> None:
    found, splits, trials = findings_of(EVEN, ("one", Reader(["bbb"])), ("two", Reader(["bbb"])))
    named = {doubt.row for doubt in doubts(trials, found, splits)}
    assert named == {"yes21", "no21"}
    assert {doubt.answered for doubt in doubts(trials, found, splits)} == {"yes", "no"}


def test_learners_that_err_often_are_not_asked_about_labels() -> None:
    poor = [letter * times for letter in "abcde" for times in (1, 2, 3)]
    found, splits, trials = findings_of(EVEN, ("one", Reader(poor)), ("two", Reader(poor)))
    assert doubts(trials, found, splits) == []


def test_labels_that_have_nothing_to_do_with_the_texts_ask_for_no_more_of_them() -> None:
    """150 data sets of guesses: one in twenty at most is told to label more, and the others what is wrong."""
    random = np.random.default_rng(0)
    told = []
    for _ in range(150):
        splits = make_splits(task_of({"yes": int(random.integers(8, 30)), "no": int(random.integers(8, 30))}))
        trials = [trial_of(name, Guessing(random), splits) for name in "abcd"]
        found = weigh([trial_of("majority", FirstLabel(), splits, baseline=True), *trials], splits)
        if not found.advice.beats_majority:
            told.append(found.advice.texts_needed)
            assert ("nothing here tells the classes apart" in recommendation_sentence(found, splits)) == (
                told[-1] is None
            )
    assert len(told) >= 142
    assert sum(needed is not None for needed in told) <= 8


class Guessing(Reader):
    """Gives every text any of the labels."""

    def __init__(self, random: np.random.Generator) -> None:
        super().__init__()
        self.random = random

    def solve(self, problem, ctx):  # type: ignore[no-untyped-def]
        names = [label.name for label in problem.labels]
        return [answer.__class__(str(self.random.choice(names))) for answer in super().solve(problem, ctx)]
