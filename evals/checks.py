"""Whether predictions keep the contract: what a learner must not do, and what merely counts as wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from evals.kinds import Kind, kind_named
from evals.types import Answer, Prediction, Problem, Status
from fewshot.core.errors import FewshotError


def checked(prediction: Prediction, problem: Problem, learner: str) -> Prediction:
    """The prediction as it may be stored.

    Ok answers outside of the problem's labels become `not_in_labels`; without a decision, or with scores that are not
    one finite number per label, `bad_response`. Answers that are not ok lose their decision.

    Args:
        learner: its name, for the message.

    Raises:
        FewshotError: there is not one answer per query, so that none can be trusted.
    """
    if len(prediction.answers) != len(problem.queries):
        raise FewshotError(
            f"learner {learner!r} gave {len(prediction.answers)} answers to {len(problem.queries)} queries "
            f"of problem {problem.id[:12]}"
        )
    kind = kind_named(problem.task.kind)
    answers = (_checked(answer, problem, at, kind) for at, answer in enumerate(prediction.answers))
    return replace(prediction, answers=tuple(answers))


def _checked(answer: Answer, problem: Problem, query: int, kind: Kind) -> Answer:
    fault = _fault(answer.scores, len(problem.labels)) or _fault(answer.raw, len(problem.labels))
    if fault:
        bare = replace(answer, scores=None, raw=None, score_kind="none")
        return _failed(bare, Status.BAD_RESPONSE, fault)
    scores, raw = _floats(answer.scores), _floats(answer.raw)
    if scores is not answer.scores or raw is not answer.raw:
        answer = replace(answer, scores=scores, raw=raw)
    if answer.status is not Status.OK:
        return replace(answer, decision=None)
    if answer.decision is None:
        return _failed(answer, Status.BAD_RESPONSE, "no decision")
    if not kind.check(answer.decision, problem, query):
        return _failed(answer, Status.NOT_IN_LABELS, f"not a possible answer: {answer.decision!r}")
    return answer


def _fault(scores: Sequence[float] | None, n_labels: int) -> str:
    """What is wrong with scores, or nothing."""
    if scores is None:
        return ""
    if len(scores) != n_labels:
        return f"{len(scores)} scores for {n_labels} labels"
    return "" if all(map(math.isfinite, scores)) else f"scores are not finite: {list(scores)}"


def _floats(scores: Sequence[float] | None) -> tuple[float, ...] | None:
    """Python floats in a tuple, as they are if they are: learners may give NumPy's."""
    if scores is None or (type(scores) is tuple and all(type(score) is float for score in scores)):
        return scores
    return tuple(map(float, scores))


def _failed(answer: Answer, status: Status, why: str) -> Answer:
    """The answer without a decision; a failure that the learner reported itself keeps its status."""
    status = status if answer.status is Status.OK else answer.status
    return replace(answer, decision=None, status=status, detail="; ".join(filter(None, (why, answer.detail))))
