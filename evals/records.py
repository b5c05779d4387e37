"""How predictions and episodes are written as JSON and read back, equal to the last bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from pydantic_core import from_json

from evals.episode import Episode
from evals.kinds import kind_named
from evals.types import Answer, Gold, Prediction, Status, Trace, Usage
from fewshot.core.errors import StorageError
from fewshot.core.hashing import canonical_json

_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """What a run keeps of an episode: enough to score it without the data.

    Attributes:
        labels: names, in the order of the problem's labels (and of all scores).
        support_ids, query_ids: rows of the data.
        chance: the primary metric of a blind guess, or None.
    """

    index: int
    problem_id: str
    pairing: str
    labels: tuple[str, ...]
    support_ids: tuple[str, ...]
    query_ids: tuple[str, ...]
    gold: tuple[Gold, ...]
    chance: float | None

    @classmethod
    def of(cls, episode: Episode) -> EpisodeRecord:
        """The record of an episode."""
        problem = episode.problem
        return cls(
            index=episode.index,
            problem_id=problem.id,
            pairing=episode.pairing,
            labels=tuple(label.name for label in problem.labels),
            support_ids=tuple(example.id for example in problem.support),
            query_ids=episode.query_ids,
            gold=episode.gold,
            chance=kind_named(problem.task.kind).chance(problem),
        )


def write_episode(record: EpisodeRecord) -> str:
    """An episode record as JSON."""
    return canonical_json({field.name: getattr(record, field.name) for field in fields(record)})


def read_episode(text: str) -> EpisodeRecord:
    """The inverse of `write_episode`. Raises StorageError for what is no episode."""
    with _expecting("an episode"):
        return EpisodeRecord(**_tupled(json.loads(text)))


def write_prediction(prediction: Prediction) -> str:
    """A prediction as JSON, its defaults left out. Raises ValueError or TypeError for what JSON cannot hold."""
    content = {
        "problem_id": prediction.problem_id,
        "answers": [_sparse(answer) for answer in prediction.answers],
        "usage": {phase: _sparse(usage) for phase, usage in prediction.usage.items()},
        "trace": _sparse(prediction.trace),
    }
    return canonical_json(content)


def read_prediction(text: str) -> Prediction:
    """The inverse of `write_prediction`. Raises StorageError for what is no prediction."""
    with _expecting("a prediction"):
        content = from_json(text)  # twice as fast as json.loads, and as exact
        return Prediction(
            problem_id=content["problem_id"],
            answers=tuple(_answer(answer) for answer in content["answers"]),
            usage={phase: Usage(**usage) for phase, usage in content["usage"].items()},
            trace=Trace(**_tupled(content["trace"])),
        )


@contextmanager
def _expecting(what: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StorageError(f"what is stored is not {what}: {type(error).__name__}: {error}") from error


def _answer(content: dict[str, Any]) -> Answer:
    # Runs hold hundreds of thousands of these: no field is looked at twice.
    get = content.get
    decision, scores, raw, status = get("decision"), get("scores"), get("raw"), get("status")
    return Answer(
        decision=tuple(decision) if isinstance(decision, list) else decision,
        status=Status.OK if status is None else _STATUSES[status],
        scores=None if scores is None else tuple(scores),
        score_kind=get("score_kind", "none"),
        raw=None if raw is None else tuple(raw),
        detail=get("detail", ""),
    )


def _sparse(value: Answer | Usage | Trace) -> dict[str, Any]:
    """The fields that differ from their defaults: most rows are mostly defaults."""
    return {field.name: found for field in fields(value) if (found := getattr(value, field.name)) != field.default}


def _tupled(value: Any) -> Any:
    """JSON lists as the tuples that they were."""
    if isinstance(value, list):
        return tuple(_tupled(item) for item in value)
    if isinstance(value, dict):
        return {key: _tupled(item) for key, item in value.items()}
    return value
