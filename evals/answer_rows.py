"""What is said of one new text, whatever the output: a file of labels, or the reply of a service."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, Any

from evals.content import TOKENS
from evals.kinds.brackets import written
from evals.tagged import entities_of, tags_of

if TYPE_CHECKING:
    from evals.labeller import Labeller
    from evals.types import Answer, Query


def answer_row(query: Query, answer: Answer, labeller: Labeller) -> dict[str, Any]:
    """The answer to one text, JSON-ready: `label`, `status` and, where they are known, `probability` of the label,
    `probabilities` of all, `detail` of a failure, `tags` and `entities`."""
    found: dict[str, Any] = {**_decided(query, answer, labeller.task.kind), "status": str(answer.status)}
    if answer.scores is not None:
        shares = {label.name: round(exp(score), 6) for label, score in zip(labeller.labels, answer.scores, strict=True)}
        if answer.decision is not None:
            found["probability"] = shares.get(str(answer.decision))
        found["probabilities"] = shares
    if answer.detail:
        found["detail"] = answer.detail
    return found


def _decided(query: Query, answer: Answer, kind: str) -> dict[str, Any]:
    """The decision: a label, a list of labels, a text, or the text with its entities in brackets and one by one."""
    decision = answer.decision
    if decision is None or isinstance(decision, str):
        return {"label": decision}
    if kind != "tagging":
        return {"label": list(decision)}
    tokens = query.fields[TOKENS]
    text, entities = entities_of(query.text, tokens, decision)
    listed = [{**entity._asdict(), "text": text[entity.start : entity.end]} for entity in entities]
    return {"label": written(text, entities), "tags": list(tags_of(text, tokens, entities)), "entities": listed}
