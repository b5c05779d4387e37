"""Scorers: normalisations, models that cannot score, scores that are no numbers."""

from __future__ import annotations

import pytest

from evals.types import Status
from fewshot.core.catalog import SCORERS
from fewshot.core.errors import UsageError
from icl.models.base import ContinuationScore, Prompt, ScoreResult
from icl.scoring import Choices
from icl.scoring.direct import Direct
from icl.scoring.generate import Generate
from tests.icl.fakes import OverlapModel

CHOICES = Choices(("부정", "good"), (" 부정", " good"), "\n")


class Fixed(OverlapModel):
    """Gives the same two scores for every prompt."""

    def score(self, requests):
        scores = (ContinuationScore((1, 2), (-1.0, -3.0), 7), ContinuationScore((3,), (-2.0,), 5, straddles=True))
        return [ScoreResult(scores, 10, 4) for _ in requests]


@pytest.mark.parametrize(
    ("normalize", "expected"), [("sum", (-4.0, -2.0)), ("mean", (-2.0, -2.0)), ("bytes", (-4 / 7, -2 / 5))]
)
def test_pitfall_6_normalisations(normalize, expected) -> None:
    read = SCORERS.build("direct", normalize=normalize).read(Fixed(), [Prompt("x")] * 2, CHOICES)
    assert [reading.raw for reading in read.readings] == [expected] * 2
    assert (read.usage.tokens_in, read.usage.tokens_cached, read.usage.requests) == (20, 8, 2)
    assert "also covers characters of the prompt" in read.notes[0]


def test_scores_that_are_not_numbers_are_an_error_not_a_label() -> None:
    class Broken(OverlapModel):
        def score(self, requests):
            return [ScoreResult((ContinuationScore((1,), (float("nan"),), 1),) * 2)]

    [reading] = Direct().read(Broken(), [Prompt("x")], CHOICES).readings
    assert (reading.raw, reading.status) == (None, Status.ERROR)


def test_a_model_without_scores() -> None:
    with pytest.raises(UsageError, match="use --method generate"):
        Direct().read(OverlapModel(scores=False), [Prompt("x")], CHOICES)


def test_unknown_normalisation() -> None:
    with pytest.raises(UsageError, match="Did you mean 'mean'"):
        SCORERS.build("direct:normalize=means")


@pytest.mark.parametrize(
    ("written", "choice", "status"),
    [
        (" good", 1, Status.OK),
        ("부정.", 0, Status.OK),
        ("", None, Status.UNPARSED),
        ("no idea", None, Status.NOT_IN_LABELS),
        ("good or 부정", None, Status.NOT_IN_LABELS),
    ],
)
def test_pitfall_17_generation_never_guesses(written, choice, status) -> None:
    [reading] = Generate().read(OverlapModel(writes=lambda prompt: written), [Prompt("x")], CHOICES).readings
    assert (reading.choice, reading.status, reading.detail) == (choice, status, written)


def test_words_that_a_template_puts_around_a_label() -> None:
    choices = Choices(("yes", "no"), (" It is yes, sure", " It is no, sure"))
    [reading] = Generate().read(OverlapModel(writes=lambda _: "It is no, sure"), [Prompt("x")], choices).readings
    assert reading.choice == 1
