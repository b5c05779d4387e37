from __future__ import annotations

import pytest

from evals.learner import Context
from fewshot.core.errors import BudgetReached
from fewshot.training.curves import Point
from fewshot.training.progress import Progress


def progress(*accuracies: float, **options) -> Progress:
    """A training that was evaluated every 10 steps."""
    found = Progress(**{"steps": 100, "eval_every": 10, **options})
    for at, value in enumerate(accuracies):
        found.step = 10 * at
        found.add(Point(found.step, 0.5, value, None, value))
    return found


@pytest.mark.parametrize(
    ("found", "is_over", "best"),
    [
        (progress(0.5, 0.6), False, 10),
        (progress(0.5, 0.6, steps=10), True, 10),
        (progress(0.6, 0.5, 0.5, patience=2), True, 0),
        (progress(0.5, 0.6, 0.5, patience=2), False, 10),
        (progress(0.5, 0.9, goal=0.9), True, 10),
        (progress(0.5, 0.5), False, 0),
    ],
    ids=["going on", "steps done", "patience over", "still patient", "at its goal", "a tie keeps the first"],
)
def test_when_a_training_is_over_and_what_was_best(found: Progress, is_over: bool, best: int) -> None:
    assert found.is_over == is_over
    assert found.best.step == found.best_step == best


def test_what_is_recorded_is_restored() -> None:
    found = progress(0.5, 0.7, 0.6)
    again = Progress(steps=100, eval_every=10)
    again.restore(found.record())
    assert again == found


def test_an_interruption_says_how_to_go_on(tmp_path) -> None:
    with pytest.raises(BudgetReached, match="after 10 of 100 training steps; the same command goes on from step 10"):
        progress(0.5, 0.6).interrupt(Context(), tmp_path)
    stopped = Context()
    stopped.cancel.set()
    with pytest.raises(KeyboardInterrupt):
        progress(0.5).interrupt(stopped, None)
