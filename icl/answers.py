"""From what was read to a prediction that is not calibrated yet, with the trace of how it came about."""

from __future__ import annotations

from collections.abc import Sequence

from evals.prompting import prompt_hash
from evals.types import Answer, Label, Trace
from icl.planning import Plan
from icl.scoring.base import Reading


def answers_of(
    plan: Plan, readings: Sequence[Reading], labels: Sequence[Label]
) -> tuple[tuple[Answer, ...], tuple[tuple[float, ...], ...]]:
    """Answers, not yet calibrated, and the content-free scores that belong to those with raw scores.

    Args:
        plan: what was asked.
        readings: of its prompts.
        labels: of the problem.
    """
    n = len(plan.asked)
    blank = readings[n:]
    size = len(blank) // n if n else 0
    groups = [blank if plan.shared else blank[at * size : (at + 1) * size] for at in range(n)]
    # Without its content-free scores a query cannot be calibrated: their failure is its own.
    judged = [
        next((failed for failed in group if failed.raw is None), reading)
        for reading, group in zip(readings[:n], groups, strict=True)
    ]
    found = iter(judged)
    answers = tuple(
        Answer(None, query.status, detail=query.detail) if query.prompt is None else _answer(next(found), labels)
        for query in plan.queries
    )
    scored = [group for reading, group in zip(judged, groups, strict=True) if reading.raw is not None]
    kept = scored[:1] if plan.shared else scored
    return answers, tuple(reading.raw for group in kept for reading in group if reading.raw is not None)


def trace_of(plan: Plan, content_free: tuple[tuple[float, ...], ...], notes: tuple[str, ...]) -> Trace:
    """How the answers to a plan came about."""
    shown = tuple(query.demonstrations for query in plan.queries)
    dropped = tuple(query.n_dropped for query in plan.queries)
    return Trace(
        demonstrations=tuple(query.demonstrations for query in plan.asked[:1]) if plan.shared else shown,
        prompt_hashes=tuple("" if query.prompt is None else prompt_hash(query.prompt) for query in plan.queries),
        content_free=content_free,
        n_dropped=dropped[:1] if len(set(dropped)) == 1 else dropped,
        notes=notes,
    )


def _answer(reading: Reading, labels: Sequence[Label]) -> Answer:
    decision = None if reading.choice is None else labels[reading.choice].name
    kind = "bound" if reading.bound else "none"
    return Answer(decision, reading.status, score_kind=kind, raw=reading.raw, detail=reading.detail)
