"""Validation: episodes answered by the learner that will be tested, under own words, swapped words and letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evals.episode import Episode
from evals.learner import Context, Learner
from evals.types import Status
from icl.metatrain.words import Lexicon, TestWords, reworded


@dataclass(frozen=True)
class Validation:
    """Scores a learner whose weights change.

    Attributes:
        learner: answers the episodes.
        episodes: of classes that are not trained on.
        words: what the labels are called, in turn. Accuracy is the mean over them.
    """

    learner: Learner
    episodes: Sequence[Episode]
    words: tuple[TestWords, ...]
    lexicon: Lexicon
    ctx: Context

    def accuracies(self) -> dict[str, float]:
        """Accuracy per kind of words; a query without an answer counts as wrong."""
        return {kind: self._accuracy(kind) for kind in self.words}

    def _accuracy(self, kind: TestWords) -> float:
        problems = [reworded(episode.problem, kind, self.lexicon) for episode in self.episodes]
        gold = {episode.id: episode.gold for episode in self.episodes}
        # It is not heard, since its notes would be the same at every evaluation, and not interrupted, since half an
        # evaluation would be a wrong one.
        quiet = Context(self.ctx.device, self.ctx.seed)
        right = [
            answer.status is Status.OK and answer.decision == truth
            for prediction in self.learner.predict(problems, quiet)
            for answer, truth in zip(prediction.answers, gold[prediction.problem_id], strict=True)
        ]
        return mean(right)


def mean(values: Iterable[float]) -> float:
    """The mean; 0 of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else 0.0
